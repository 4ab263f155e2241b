/** `kasane cert dev`: an authority and certificates for trying TLS out. Real clusters have theirs from whoever runs the network. */
import { existsSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { KasaneError } from '@kasane/protocol/errors';
import { PEM_BYTES } from '@kasane/protocol/limits';
import { makeFolders } from '@kasane/tensor/internal/node/make-folders';
import { readRegularSync } from '@kasane/tensor/internal/node/regular-file';
import { writeFile } from '../../files/write-file.ts';
import { out } from '../../output/say.ts';
import { type Issued, issue, issueAuthority } from './issue.ts';

export interface CertOptions {
  /** Names and addresses besides this machine's own. */
  readonly host: readonly string[];
  readonly days: number;
  readonly force?: boolean;
  readonly json?: boolean;
}

export async function dev(folder: string, options: CertOptions): Promise<void> {
  const { host, days, force = false, json } = options;
  const file = (name: string) => join(folder, name);
  for (const name of host) {
    if (!/^[\w.:*-]{1,253}$/.test(name))
      throw new KasaneError('USAGE', `--host: '${name}' is not a host name or address`);
  }
  makeFolders(folder, 0o700);
  const authority =
    existsSync(file('ca-key.pem')) && !force ? readAuthority(folder) : await issueAuthority(days);
  const hosts = [...new Set([...own(), ...host])];
  const made: Readonly<Record<string, Issued>> = {
    ca: authority,
    server: await issue(authority, { name: 'kasane coordinator', hosts, use: 'server', days }),
    client: await issue(authority, { name: 'kasane client', hosts: [], use: 'client', days }),
  };
  for (const [name, { cert, key }] of Object.entries(made)) {
    writeFile(cert, file(`${name}.pem`));
    writeFile(key, file(`${name}-key.pem`), 0o600);
  }
  const [ca, server, client] = ['ca', 'server', 'client'].map((name) => file(`${name}.pem`));
  if (json) {
    out.write(`${JSON.stringify({ folder, ca, server, client, hosts, days })}\n`);
    return;
  }
  out.write(
    [
      `For ${hosts.join(', ')}, for ${days} days. ca-key.pem can sign other certificates: keep it secret.`,
      `Coordinator:  --tls-cert ${server} --tls-key ${file('server-key.pem')}`,
      `              --tls-ca ${ca}    # requires client certificates`,
      `Others:       --tls-ca ${ca}`,
      `              --tls-cert ${client} --tls-key ${file('client-key.pem')}    # if required`,
      '',
    ].join('\n'),
  );
}

/** The folder's authority signs further certificates, so that those who trust it need nothing new. */
function readAuthority(folder: string): Issued {
  const read = (name: string) => readRegularSync(join(folder, name), PEM_BYTES).toString();
  try {
    return { cert: read('ca.pem'), key: read('ca-key.pem') };
  } catch (cause) {
    throw new KasaneError(
      'USAGE',
      `${folder}: its CA cannot be read (${(cause as Error).message}); use --force to create another`,
      { cause },
    );
  }
}

/** Names and addresses of this machine. */
function own(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const outer = addresses.filter(({ family, internal }) => family === 'IPv4' && !internal);
  const name = hostname().replace(/[^\w.-]/g, '-');
  return ['localhost', '127.0.0.1', '::1', name, ...outer.map(({ address }) => address)];
}
