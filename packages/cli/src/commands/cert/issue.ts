/**
 * Certificates for development: an authority, and certificates that it signs (RFC 5280). ECDSA on P-256, which every TLS stack knows.
 * Node reads certificates but issues none.
 */
// The library's dependency injection asks for it, and it must be there first.
import 'reflect-metadata';
import { createPrivateKey, KeyObject, randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** A certificate and its private key, both PEM. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

/** Clocks differ: what begins now is not yet valid elsewhere. */
const validity = (days: number) => ({
  notBefore: new Date(Date.now() - DAY_MS),
  notAfter: new Date(Date.now() + days * DAY_MS),
});
/** RFC 5280 4.1.2.2: positive, 20 bytes at most. */
const serialNumber = () => `01${randomBytes(15).toString('hex')}`;

/** Makes an authority. @param days until it ends, negative for one that has ended */
export async function issueAuthority(days: number): Promise<Issued> {
  const keys = await newKeys();
  const cert = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serialNumber(),
      name: `CN=Kasane development authority ${randomBytes(3).toString('hex')}`,
      ...validity(days),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto as Crypto),
      ],
    },
    webcrypto as Crypto,
  );
  return { cert: `${cert.toString('pem')}\n`, key: pemOf(keys.privateKey) };
}

export interface CertificateRequest {
  readonly name: string;
  /** A server is reached under these names and addresses; a client has none. */
  readonly hosts: readonly string[];
  readonly use: 'server' | 'client';
  /** Until it ends; negative for one that has ended. */
  readonly days: number;
}

/** Has an authority sign a new certificate. */
export async function issue(authority: Issued, request: CertificateRequest): Promise<Issued> {
  const issuer = new X509Certificate(authority.cert);
  const keys = await newKeys();
  const { name, hosts, use, days } = request;
  const names = hosts.map((host) =>
    isIP(host) ? ({ type: 'ip', value: host } as const) : ({ type: 'dns', value: host } as const),
  );
  const cert = await X509CertificateGenerator.create(
    {
      serialNumber: serialNumber(),
      subject: `CN=${name}`,
      issuer: issuer.subject,
      ...validity(days),
      ...(days < 0 && { notBefore: new Date(Date.now() + 2 * days * DAY_MS) }),
      signingAlgorithm: ALGORITHM,
      publicKey: keys.publicKey,
      signingKey: privateKeyOf(authority.key),
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([
          use === 'server' ? ExtendedKeyUsage.serverAuth : ExtendedKeyUsage.clientAuth,
        ]),
        await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto as Crypto),
        await AuthorityKeyIdentifierExtension.create(issuer, false, webcrypto as Crypto),
        ...(names.length > 0 ? [new SubjectAlternativeNameExtension(names)] : []),
      ],
    },
    webcrypto as Crypto,
  );
  return { cert: `${cert.toString('pem')}\n`, key: pemOf(keys.privateKey) };
}

const newKeys = () =>
  webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) as Promise<CryptoKeyPair>;

const pemOf = (key: CryptoKey) => KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }) as string;

const privateKeyOf = (pem: string) =>
  createPrivateKey(pem).toCryptoKey(ALGORITHM, false, ['sign']) as CryptoKey;
