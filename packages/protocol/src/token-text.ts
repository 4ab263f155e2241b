/** What a token may be. Loads nothing: the command line looks at tokens before it loads what needs them. */

/** Why no header can carry a token, as a clause; undefined where one can. No token ('') is one that can. */
export const whyNoToken = (token: string): string | undefined =>
  /^[\x21-\x7e]*$/.test(token)
    ? undefined
    : 'the token has blanks or characters that no token has: copy it again, without what stands around it';
