/** What a stream of the terminal can do. */

/** Whether it is a screen with a cursor that moves, and with colours. TERM=dumb, as in Emacs' shell, says that it has neither. */
export const isScreen = ({ isTTY }: { readonly isTTY?: boolean }): boolean =>
  isTTY === true && process.env.TERM !== 'dumb';
