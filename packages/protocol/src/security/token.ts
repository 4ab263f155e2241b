/** How a token is presented, and where one is needed: to a coordinator that listens beyond loopback. */
import { createHash } from 'node:crypto';
import { Metadata } from '@grpc/grpc-js';
import { KasaneError } from '../errors.ts';
import { whyNoToken } from './token-text.ts';

/** @throws KasaneError USAGE unless a header can carry the token; no token ('') is one that can */
export function checkToken(token: string): void {
  const why = whyNoToken(token);
  if (why !== undefined) throw new KasaneError('USAGE', why);
}

/** Metadata that presents `token`; empty metadata without one. @throws KasaneError USAGE when no header can carry it */
export function tokenMetadata(token: string | undefined): Metadata {
  const metadata = new Metadata();
  if (token === undefined) return metadata;
  checkToken(token);
  if (token) metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}

/** What a token is kept and compared as: SHA-256, of equal length for all, so that comparing tells nothing by its time. */
export const digestOfToken = (token: string): Buffer => createHash('sha256').update(token).digest();

/**
 * Whether an HTTP request asks for a loopback name: a page of another site can have its own name point here (DNS rebinding), and
 * then says that name.
 * @param host what the request's header of that name says
 */
export function asksLoopback(host: string | undefined): boolean {
  const [, name] = /^(\[[\da-f:.]+\]|[^:[\]/?#@\\\s]+)(?::\d{1,5})?$/i.exec(host ?? '') ?? [];
  return name !== undefined && isLoopback(name.toLowerCase());
}

/** Whether a host name or address stays on this machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
