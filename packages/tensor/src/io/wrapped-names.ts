/** Names of tensors as PyTorch writes them of a model inside of another: DataParallel, torch.compile, Lightning's modules. */

const WRAPPERS = ['module.', '_orig_mod.', 'model.'];
/** A compiled model in DataParallel in a module of Lightning. */
const DEEPEST = 3;

/**
 * The prefix without which some of the names are known: '' where some are known as they are, or none is without one either.
 * @param names of tensors in a file
 * @param known names that a model has a place for
 */
export function wrapperOf(names: readonly string[], known: ReadonlySet<string>): string {
  let prefixes = [''];
  for (let depth = 0; depth <= DEEPEST; depth++) {
    const found = prefixes.find((prefix) =>
      names.some((name) => name.startsWith(prefix) && known.has(name.slice(prefix.length))),
    );
    if (found !== undefined) return found;
    prefixes = prefixes.flatMap((prefix) => WRAPPERS.map((wrapper) => prefix + wrapper));
  }
  return '';
}

/** A name without the prefix, if it has it. */
export const unwrapped = (name: string, prefix: string): string =>
  name.startsWith(prefix) ? name.slice(prefix.length) : name;
