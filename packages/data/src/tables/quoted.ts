/** A name as a key or value in YAML. */
export const quoted = (name: string) => (/^[a-z_][\w-]*$/i.test(name) ? name : JSON.stringify(name));
