/** Text in lines of at most that many columns. */
export const wrapped = (text: string, width = 80): string =>
  text.replace(new RegExp(`(.{1,${width}})(?:\\s+|$)`, 'g'), '$1\n').trimEnd();
