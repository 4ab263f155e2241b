/** Whether an argument that names no file is rather a path that was mistyped than a text or a row. */
export const isLikePath = (text: string): boolean => /^(?:[./~]\S*|\S+\.[A-Za-z]\w{0,4})$/.test(text);
