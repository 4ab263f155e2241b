/** TLS: files of certificates and keys become what servers and clients need. What is wrong with one is said before anything listens. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  type PeerCertificate,
  rootCertificates,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls';
import { type ChannelCredentials, type ClientOptions, credentials } from '@grpc/grpc-js';
import { FileError, readRegularSync } from '@kasane/tensor/internal/node/regular-file';
import { KasaneError } from '../errors.ts';
import { tracedCalls } from '../grpc/traced-calls.ts';
import { PEM_BYTES } from '../limits.ts';
import { whyNoAddress } from '../ports/address.ts';

/** Paths, as they are given on the command line. */
export interface TlsFiles {
  /** PEM of a certificate, with those between it and the authority. */
  readonly tlsCert?: string | undefined;
  /** PEM of its private key. */
  readonly tlsKey?: string | undefined;
  /** PEM of the authorities whose certificates are believed; of a client 'system' for those that Node brings. */
  readonly tlsCa?: string | undefined;
}

export interface ServerTls {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Clients must show a certificate of one of these. Absent: they need none. */
  readonly ca?: Buffer;
}

export interface ClientTls {
  readonly ca: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  /** Not whom it reaches is checked, only that this process itself listens there. */
  readonly own?: true;
}

/** For a client of the process that listens with `tls`: its certificate is for the names that others use. */
export function ownTls({ cert, key }: ServerTls): ClientTls {
  return { ca: cert, cert, key, own: true };
}

/** TLS 1.2 has no forward secrecy by itself, and nobody here needs it. */
const OLDEST = 'TLSv1.3';

/**
 * Reads what a server needs; undefined when no TLS was asked for.
 * @throws KasaneError USAGE naming the file and what is wrong with it
 */
export function readServerTls({ tlsCert, tlsKey, tlsCa }: TlsFiles): ServerTls | undefined {
  if (tlsCert === undefined && tlsKey === undefined && tlsCa === undefined) return undefined;
  const pair = readPair(tlsCert, tlsKey);
  if (!pair) {
    throw new KasaneError(
      'USAGE',
      '--tls-ca alone: a server needs --tls-cert and --tls-key; `kasane cert dev` creates them for development',
    );
  }
  return { ...pair, ...(tlsCa !== undefined && { ca: readAuthorities(tlsCa) }) };
}

/**
 * Reads what a client needs; undefined when no TLS was asked for.
 * @throws KasaneError USAGE naming the file and what is wrong with it
 */
export function readClientTls({ tlsCert, tlsKey, tlsCa }: TlsFiles): ClientTls | undefined {
  if (tlsCert === undefined && tlsKey === undefined && tlsCa === undefined) return undefined;
  if (tlsCa === undefined) {
    throw new KasaneError(
      'USAGE',
      '--tls-cert without --tls-ca: set it to the CA that signed the coordinator\'s certificate, or "system"',
    );
  }
  const ca = tlsCa === 'system' ? Buffer.from(rootCertificates.join('\n')) : readAuthorities(tlsCa);
  return { ca, ...readPair(tlsCert, tlsKey) };
}

/** Options of a server's sockets. Certificates of clients are judged by `whyNot`, which can say what is wrong. */
export function serverOptions({ cert, key, ca }: ServerTls): TlsOptions {
  return {
    cert,
    key,
    minVersion: OLDEST,
    ALPNProtocols: ['h2'],
    ...(ca && { ca, requestCert: true, rejectUnauthorized: false }),
  };
}

/** Options of a client's socket to this host. */
export function clientOptions({ ca, cert, key }: ClientTls, host: string): ConnectionOptions {
  return {
    ca,
    minVersion: OLDEST,
    ...(cert && key && { cert, key }),
    // An address is no name that could be indicated; certificates are checked against it all the same.
    ...(isIP(host) === 0 && { servername: host }),
  };
}

/** Whether the other end has shown the very certificate of this end, which only who has its key can. */
export function isOwn(socket: TLSSocket, { cert }: ServerTls): boolean {
  const shown = socket.getPeerX509Certificate();
  return shown !== undefined && shown.fingerprint256 === new X509Certificate(cert).fingerprint256;
}

/** host:port apart, the host without the brackets of IPv6. */
export function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(':');
  return {
    host: address.slice(0, colon).replace(/^\[(.*)\]$/, '$1'),
    port: Number(address.slice(colon + 1)),
  };
}

/**
 * Bytes that a coordinator may send ahead of what a client has read. With HTTP/2's usual 64 KiB a message of a megabyte waits for
 * twenty answers, and whatever comes behind it on the connection too.
 */
const WINDOW_BYTES = 4 << 20;

export interface Channel {
  readonly credentials: ChannelCredentials;
  readonly options: ClientOptions;
}

/** How gRPC talks to a coordinator. @param address host:port @throws KasaneError USAGE when it is none */
export function channelTo(address: string, tls: ClientTls | undefined): Channel {
  const wrong = whyNoAddress(address);
  if (wrong !== undefined) throw new KasaneError('USAGE', `coordinator address ${address}: ${wrong}`);
  const options = {
    ...tracedCalls(),
    'grpc-node.flow_control_window': WINDOW_BYTES,
    // Proxies are for the web. A cluster's machines reach one another without, and the data link beside gRPC knows no proxy.
    'grpc.enable_http_proxy': 0,
  };
  if (!tls) return { credentials: credentials.createInsecure(), options };
  const { host } = splitAddress(address);
  const { ca, key = null, cert = null, own } = tls;
  // Nobody but this process can answer at its own port.
  const rejectUnauthorized = !own;
  if (isIP(host) === 0) {
    return {
      credentials: credentials.createSsl(ca, key, cert, { rejectUnauthorized }),
      options,
    };
  }
  // gRPC indicates the host as the server's name, which no address may be (RFC 6066): it gets another to indicate, and the
  // certificate is checked against the address all the same.
  const check = (_: string, certificate: PeerCertificate) => checkServerIdentity(host, certificate);
  return {
    credentials: credentials.createSsl(ca, key, cert, { rejectUnauthorized, checkServerIdentity: check }),
    options: { ...options, 'grpc.ssl_target_name_override': 'kasane' },
  };
}

function readPair(certPath: string | undefined, keyPath: string | undefined) {
  if (certPath === undefined && keyPath === undefined) return undefined;
  if (certPath === undefined || keyPath === undefined) {
    const [given, missing] = certPath ? ['--tls-cert', '--tls-key'] : ['--tls-key', '--tls-cert'];
    throw new KasaneError('USAGE', `${given} without ${missing}: both are needed`);
  }
  const [cert, key] = [read(certPath), read(keyPath)];
  const certificate = certificateOf(cert, certPath);
  let fits: boolean;
  try {
    fits = certificate.checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw new KasaneError(
      'USAGE',
      `${keyPath}: it contains no unencrypted private key; expected a PEM file without a passphrase`,
      { cause },
    );
  }
  if (!fits) throw new KasaneError('USAGE', `${keyPath}: it does not belong to the certificate ${certPath}`);
  const ended = Date.parse(certificate.validTo);
  if (ended < Date.now()) {
    throw new KasaneError(
      'USAGE',
      `${certPath}: it expired on ${new Date(ended).toISOString().slice(0, 10)}; get a new one, or create one with \`kasane cert dev\``,
    );
  }
  const begins = Date.parse(certificate.validFrom);
  if (begins > Date.now()) {
    throw new KasaneError(
      'USAGE',
      `${certPath}: it is not valid before ${new Date(begins).toISOString().slice(0, 16).replace('T', ' ')} UTC; check this machine's clock, or get another one`,
    );
  }
  return { cert, key };
}

function readAuthorities(path: string): Buffer {
  const bytes = read(path);
  if (!certificateOf(bytes, path).ca) {
    throw new KasaneError('USAGE', `${path}: it is not a CA certificate`);
  }
  return bytes;
}

function certificateOf(bytes: Buffer, path: string): X509Certificate {
  try {
    return new X509Certificate(bytes);
  } catch (cause) {
    throw new KasaneError('USAGE', `${path}: it contains no certificate; expected a PEM file`, { cause });
  }
}

function read(path: string): Buffer {
  try {
    return readRegularSync(path, PEM_BYTES);
  } catch (cause) {
    if (!(cause instanceof FileError)) throw cause;
    throw new KasaneError('USAGE', cause.message, { cause });
  }
}
