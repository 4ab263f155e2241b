/**
 * Who may call what, for every gRPC method. Beyond loopback, a caller presents the shared token or one from the state directory; each
 * method requires a scope (protocol/src/security/scopes.ts). Independent of gRPC.
 */
import { timingSafeEqual } from 'node:crypto';
import type { ErrorCode } from '@kasane/protocol/errors';
import { digestOfToken } from '@kasane/protocol/internal/security/token';
import { allows, methodScopes, type Scope } from '@kasane/protocol/scopes';
import type { TokenStore } from '../store/tokens.ts';
import { RateLimit } from './rate-limit.ts';

/** The caller's name where no token is needed. */
export const OPEN_CALLER = 'loopback';

export interface GateOptions {
  /** Tokens with scopes. */
  readonly tokens: Pick<TokenStore, 'find' | 'any'>;
  /** Further tokens with their scopes: the shared one, and that of this process's own dashboard. */
  readonly known: readonly {
    readonly id: string;
    readonly token: string;
    readonly scopes: readonly Scope[];
  }[];
  /** Callers without a token may do everything: the server is on loopback, and no token is configured. */
  readonly open: boolean;
  /** Average number of calls per second and token; bursts of as many are allowed. */
  readonly requestsPerSecond: number;
}

export interface Refusal {
  readonly code: ErrorCode;
  /** For the caller and the log. Never contains the token. */
  readonly why: string;
}

const tokenIn = (authorization: string) => /^Bearer (.+)$/.exec(authorization)?.[1];
const HOW = 'pass a valid one with --token (or KASANE_TOKEN)';

export class Gate {
  readonly #options: GateOptions;
  readonly #known: readonly {
    readonly id: string;
    readonly digest: Buffer;
    readonly scopes: readonly Scope[];
  }[];
  readonly #rate: RateLimit;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#known = options.known.map(({ id, token, scopes }) => ({
      id,
      digest: digestOfToken(token),
      scopes,
    }));
    this.#rate = new RateLimit(options.requestsPerSecond);
  }

  /**
   * Checks a call before its messages are read.
   * @param path `/package.Service/Method`
   * @param authorization the metadata of that name, or ''
   * @returns why the call is refused; undefined if it may proceed
   */
  judge(path: string, authorization: string, now = performance.now()): Refusal | undefined {
    if (!methodScopes.has(path)) return { code: 'SCOPE', why: `calls to ${path} are not allowed` };
    const wanted = methodScopes.get(path);
    if (wanted === undefined) return undefined;
    const held = this.#options.open ? { key: OPEN_CALLER } : this.#holder(authorization, wanted);
    if ('why' in held) return held;
    if (this.#rate.take(held.key, now)) return undefined;
    const { requestsPerSecond } = this.#options;
    return {
      code: 'LIMIT',
      why: `more than ${requestsPerSecond} calls per second with one token, which is the limit: call less often`,
    };
  }

  /** Identifies the caller, to keep tokens apart: the token's ID, or a fixed name where no token is needed. */
  callerOf(authorization: string): string {
    if (this.#options.open) return OPEN_CALLER;
    const token = tokenIn(authorization) ?? '';
    const found = this.#known.find(({ digest }) => timingSafeEqual(digest, digestOfToken(token)));
    const stored = found ?? this.#options.tokens.find(token);
    return 'refused' in stored ? '' : stored.id;
  }

  /** Checks an open call again: tokens are revoked, and expire. */
  still(path: string, authorization: string): Refusal | undefined {
    const wanted = methodScopes.get(path);
    if (wanted === undefined || this.#options.open) return undefined;
    const held = this.#holder(authorization, wanted);
    return 'why' in held ? held : undefined;
  }

  #holder(authorization: string, wanted: Scope): { readonly key: string } | Refusal {
    const token = tokenIn(authorization);
    const refuse = (why: string): Refusal => ({ code: 'NOT_ALLOWED', why });
    if (token === undefined) return refuse(`a token is missing: ${HOW}`);
    const digest = digestOfToken(token);
    // Compares with all, for constant time.
    const [shared] = this.#known.filter((known) => timingSafeEqual(known.digest, digest));
    const found = shared ?? this.#options.tokens.find(token);
    if ('refused' in found) return refuse(`${found.refused}: ${HOW}`);
    if (!allows(found.scopes, wanted)) {
      const has = `the token has the scope ${found.scopes.join(', ')}`;
      return { code: 'SCOPE', why: `${has}; this call needs one with '${wanted}'` };
    }
    return { key: found.id };
  }
}
