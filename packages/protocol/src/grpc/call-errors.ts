/** What gRPC says when a call fails, in words: what is wrong, where, and how to fix it. */
import { type ServiceError, status } from '@grpc/grpc-js';
import { type ErrorCode, errorCodes, KasaneError, messageOf } from '../errors.ts';

/**
 * The error of a failed call: the coordinator's own, or what is known of why it did not answer.
 * @param coordinator host:port
 * @param secured whether the call used TLS
 * @param hasAnswered whether it had several answers to give, and had given some
 */
export function explainCall(
  error: ServiceError,
  coordinator: string,
  secured: boolean,
  hasAnswered = false,
): KasaneError {
  const code = String(error.metadata?.get('kasane-error')[0] ?? '');
  if (Object.hasOwn(errorCodes, code)) return new KasaneError(code as ErrorCode, reasonOf(error));
  // It was there to take the call: the details of a call that found nobody do not name one.
  if (error.code === status.DEADLINE_EXCEEDED && /remote_addr=/.test(error.details ?? '')) {
    return new KasaneError(
      'UNREACHABLE',
      `the coordinator at ${coordinator} did not answer in time; it may be overloaded or hung: try again`,
      { cause: error },
    );
  }
  if (error.code === status.CANCELLED)
    return new KasaneError(
      'UNREACHABLE',
      `the coordinator at ${coordinator} stopped before it answered; start it again, then check with \`kasane jobs\` whether the command took effect`,
      { cause: error },
    );
  if (error.code === status.UNAVAILABLE && hasAnswered)
    return new KasaneError(
      'UNREACHABLE',
      `the coordinator at ${coordinator} stopped, or the connection to it broke; jobs and sweeps continue once it is back: see \`kasane jobs\` and \`kasane sweeps\``,
      { cause: error },
    );
  if (error.code === status.UNAVAILABLE || error.code === status.DEADLINE_EXCEEDED) {
    const broken = whyInsecure(error, secured);
    if (broken) {
      return new KasaneError('NOT_ALLOWED', `the coordinator at ${coordinator}: ${broken}`, {
        cause: error,
      });
    }
    const why = whyNobody(error);
    if (why) {
      return new KasaneError('UNREACHABLE', `no coordinator answers at ${coordinator}: ${why}`, {
        cause: error,
      });
    }
    const right = 'start one with `kasane coordinator`, or set its address with --coordinator';
    return new KasaneError('UNREACHABLE', `no coordinator answers at ${coordinator}; ${right}`, {
      cause: error,
    });
  }
  return new KasaneError('UNREACHABLE', `the coordinator at ${coordinator} failed: ${reasonOf(error)}`, {
    cause: error,
  });
}

/** Why nobody answers, where it is the address and starting a coordinator would not help. */
export function whyNobody({ details = '' }: Partial<ServiceError>): string | undefined {
  const host = /Name resolution failed for target dns:(.*):\d+/.exec(details)?.[1];
  if (host !== undefined) return `no host has the name '${host}'; check the address`;
  if (/Last error: (Error: )?(Protocol error|Parse Error)/.test(details))
    return 'the server there is not a coordinator; check the port (the dashboard uses a different one)';
  return undefined;
}

/** What is wrong between the two ends of TLS, where that is why nobody answers. */
export function whyInsecure({ details = '' }: Partial<ServiceError>, tls: boolean): string | undefined {
  if (/certificate has expired/i.test(details)) return 'its certificate has expired';
  if (/certificate is not yet valid/i.test(details))
    return "its certificate is not valid yet; check this machine's clock";
  if (/self-signed|unable to (verify|get)|unknown ca/i.test(details))
    return 'its certificate is not signed by the CA in --tls-ca';
  if (/ERR_TLS_CERT_ALTNAME_INVALID|does not match certificate/i.test(details))
    return 'its certificate does not cover this address';
  if (/wrong version number|packet length too long/i.test(details))
    return 'it does not use TLS; omit --tls-ca';
  // A connection that was made, and that the other end closed at once: nothing more is known of why.
  if (!/Failed to connect \(|disconnected before secure TLS|Connection dropped|ECONNRESET/i.test(details))
    return undefined;
  return tls
    ? 'it closes the connection; if it does not use TLS, omit --tls-ca; if it requires client certificates, set --tls-cert and --tls-key; otherwise its log says why'
    : 'it closes the connection; if it uses TLS, set --tls-ca; otherwise its log says why';
}

/** Why a call failed, never empty: without gRPC's words around it, and without the moment, which differs each time. */
export function reasonOf(error: Partial<ServiceError>): string {
  const said = messageOf({ message: error.details, details: error.message, code: error.code })
    .replace(/ \(\d{4}-\d\d-\d\dT[^)]*\)\.?|\s*Resolution note:\s*$/g, '')
    .replace(/^No connection established\. Last error: (Error: )?(.*?)\.?$/, '$2')
    .trim();
  return /^(undefined|null)?$/.test(said) ? 'the connection was closed before the call began' : said;
}
