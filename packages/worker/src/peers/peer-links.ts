/** A worker's links to other workers: opened as the coordinator says, measured once, and told of when they break. */
import type { Server, Socket } from 'node:net';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import type { Peer, WorkerMessage } from '@kasane/protocol/gen/kasane/v1/training';
import { shortened } from '@kasane/protocol/internal/events/plain-text';
import { hostPort } from '@kasane/protocol/internal/ports/address';
import { encodeFrame, type Frame, type FrameHeader } from '@kasane/protocol/internal/wire/frame';
import { Link } from '@kasane/protocol/internal/wire/link';
import { LinkProbe, PROBES_ANSWERED, unasked, windowOf } from '@kasane/protocol/internal/wire/link-probe';
import { PacedFrames } from '@kasane/protocol/internal/wire/paced-frames';
import { dialPeer, listenForPeers } from '@kasane/protocol/internal/wire/peer-link';
import { ERROR_TEXT } from '@kasane/protocol/limits';
import { sentenceOf } from '@kasane/protocol/reasons';
import type { Logger } from 'pino';

/** A peer that does not answer the probes within this time, in milliseconds, is not reached. */
const PROBE_MS = 10_000;
/** Who is dialled may hear of the key a little later than who dials: so often it is tried, the first time again after so long. */
const DIALS = 5;
const REDIAL_MS = 100;

export interface PeerLinksOptions {
  /** Encrypt: the coordinator's port does too. */
  readonly tls: boolean;
  readonly say: (message: NonNullable<WorkerMessage['message']>) => void;
  /** The payload is a view that holds until the call returns. What it throws closes the link. */
  readonly onFrame: (frame: Frame, from: string) => void;
  readonly log: Logger;
}

interface PeerLink {
  readonly peer: Peer;
  readonly link: Link | undefined;
  readonly frames: PacedFrames | undefined;
  /** Who waits for room. */
  readonly forRoom: (() => void)[];
  /** Of the probe, or until it is dialled again. */
  readonly timer: NodeJS.Timeout | undefined;
}

export class PeerLinks {
  readonly #options: PeerLinksOptions;
  readonly #links = new Map<string, PeerLink>();
  #server: Server | undefined;
  #host = '';
  #isClosed = false;

  constructor(options: PeerLinksOptions) {
    this.#options = options;
  }

  /** Listens for others, and says where. @param host an address of this machine */
  async listen(host: string): Promise<void> {
    const { tls, say } = this.#options;
    const keys = () => [...this.#links.values()].map(({ peer }) => peer.key);
    if (host !== this.#host) {
      this.#server?.close();
      this.#server = undefined;
      this.#host = host;
    }
    try {
      this.#server ??= await listenForPeers({ host, tls, keys, onPeer: (...peer) => this.#dialled(...peer) });
    } catch (error) {
      const why = shortened(messageOf(error), ERROR_TEXT);
      say({ $case: 'peersOpened', value: { address: '', why } });
      return;
    }
    if (this.#isClosed) return void this.#server.close();
    const { port } = this.#server.address() as { port: number };
    say({ $case: 'peersOpened', value: { address: hostPort(host, port), why: '' } });
  }

  /** These, and no others, are to be linked with. */
  connect(peers: readonly Peer[]): void {
    const wanted = new Map(peers.map((peer) => [peer.worker, peer]));
    for (const [worker, { peer }] of [...this.#links])
      if (!isSame(wanted.get(worker), peer)) this.#close(worker);
    for (const [worker, peer] of wanted) {
      if (this.#links.has(worker)) continue;
      // The bytes lie in a buffer that is used again.
      const own = { ...peer, key: Uint8Array.from(peer.key) };
      this.#links.set(worker, {
        peer: own,
        link: undefined,
        frames: undefined,
        forRoom: [],
        timer: undefined,
      });
      if (own.dials) this.#dial(own);
    }
  }

  /** Sends a frame to a worker. Resolves when there is room for the next; at once where there is no link. */
  async send(worker: string, header: FrameHeader, payload: Uint8Array): Promise<void> {
    await this.sendEncoded(worker, encodeFrame(header, payload));
  }

  /** The same with a frame that may be sent to several. */
  async sendEncoded(worker: string, frame: Buffer): Promise<void> {
    const one = this.#links.get(worker);
    if (!one?.link) return;
    await one.frames?.send(frame);
    if (one.link.full) await new Promise<void>((resolve) => one.forRoom.push(resolve));
  }

  close(): void {
    this.#isClosed = true;
    for (const worker of [...this.#links.keys()]) this.#close(worker);
    this.#server?.close();
  }

  #dial(peer: Peer, dials = 1): void {
    const { worker, address, key } = peer;
    let socket: Socket;
    try {
      socket = dialPeer(address, key, this.#options.tls);
    } catch (error) {
      this.#broke(worker, messageOf(error));
      return;
    }
    let isReached = false;
    const broke = (why: string) => {
      if (isReached || dials === DIALS) return this.#broke(worker, why);
      clearTimeout(late);
      const again = setTimeout(() => this.#dial(peer, dials + 1), REDIAL_MS * 2 ** (dials - 1));
      this.#links.set(worker, { peer, link: undefined, frames: undefined, forRoom: [], timer: again });
      link.close();
    };
    const { link, frames } = this.#open(peer, socket, broke, () => probe.answered());
    const probe = new LinkProbe(
      (frame) => link.send(frame),
      (bytesPerSecond) => {
        clearTimeout(late);
        isReached = true;
        const window = windowOf(bytesPerSecond);
        if (window > 0) {
          frames.window = window;
          link.send(encodeFrame({ kind: 'pace', window }, new Uint8Array(0)));
        }
        this.#options.say({ $case: 'peerReach', value: { worker, able: true, bytesPerSecond, why: '' } });
      },
    );
    const late = setTimeout(() => broke(`no answer within ${PROBE_MS / 1000} s`), PROBE_MS);
    this.#links.set(worker, { peer, link, frames, forRoom: [], timer: late });
    probe.ask();
  }

  /** Somebody has shown a key: it is the peer that has it. */
  #dialled(socket: Socket, key: Buffer): void {
    const found = [...this.#links.values()].find(({ peer }) => !peer.dials && key.equals(peer.key));
    if (!found || found.link) return void socket.destroy();
    const opened = this.#open(found.peer, socket, (why) => this.#broke(found.peer.worker, why));
    this.#links.set(found.peer.worker, { ...found, ...opened });
  }

  /** @param onAnswer a probe has come back */
  #open(
    peer: Peer,
    socket: Socket,
    onBroken: (why: string) => void,
    onAnswer: () => void = unasked,
  ): { readonly link: Link; readonly frames: PacedFrames } {
    let answered = 0;
    const frames = new PacedFrames((frame) => link.send(frame));
    const onFrame = ({ header, payload }: Frame) => {
      if (header.kind === 'took') frames.took();
      else if (header.kind === 'pace') frames.window = header.window;
      else if (header.kind !== 'probe') {
        if (frames.window > 0) link.send(encodeFrame({ kind: 'took' }, new Uint8Array(0)));
        this.#options.onFrame({ header, payload }, peer.worker);
      } else if (header.answer) onAnswer();
      else if (++answered > PROBES_ANSWERED)
        throw new KasaneError('PROTOCOL', `more than ${PROBES_ANSWERED} probes of one link`);
      else link.send(encodeFrame({ kind: 'probe', answer: true }, payload));
    };
    const link: Link = new Link(socket, {
      onFrame,
      onRoom: () => {
        for (const go of this.#links.get(peer.worker)?.forRoom.splice(0) ?? []) go();
      },
      onClose: (why) => {
        frames.close();
        if (this.#links.get(peer.worker)?.link === link) onBroken(sentenceOf(why));
      },
    });
    return { link, frames };
  }

  /** A link is no more, or never was. It is opened again when the coordinator says so. */
  #broke(worker: string, why: string): void {
    if (!this.#links.has(worker)) return;
    this.#close(worker);
    const value = { worker, able: false, bytesPerSecond: 0, why: shortened(why, ERROR_TEXT) };
    this.#options.log.debug({ peer: worker }, `no link to worker ${worker}: ${why}`);
    this.#options.say({ $case: 'peerReach', value });
  }

  #close(worker: string): void {
    const one = this.#links.get(worker);
    this.#links.delete(worker);
    clearTimeout(one?.timer);
    one?.link?.close();
    one?.frames?.close();
    for (const go of one?.forRoom ?? []) go();
  }
}

const isSame = (a: Peer | undefined, b: Peer) =>
  a !== undefined && Buffer.from(a.key).equals(b.key) && a.address === b.address;
