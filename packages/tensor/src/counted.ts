/** So many of something, in a message: 1 row, 2 rows, 2 classes. @param more the word for several. Default: with an s */
export const counted = (many: number, one: string, more = `${one}s`): string =>
  `${many} ${many === 1 ? one : more}`;
