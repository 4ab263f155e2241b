/** What a token may be. Loads nothing: the command line looks at tokens before it loads what needs them. */

/** Why no header can carry a token, as a clause; undefined where one can. No token ('') is one that can. */
export const whyNoToken = (token: string): string | undefined =>
  /^[\x21-\x7e]*$/.test(token)
    ? undefined
    : 'the token contains spaces or other characters that tokens never contain: copy it again, without the text around it';
