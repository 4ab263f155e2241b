/** The shared token that a coordinator asks for when it listens beyond loopback. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { Metadata } from '@grpc/grpc-js';

/** Metadata that presents `token`; empty metadata without one. */
export function tokenMetadata(token: string | undefined): Metadata {
  const metadata = new Metadata();
  if (token) metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}

/** Whether a call may go on. Without an expected token every call may (the server is on loopback then). */
export function tokenAccepted(metadata: Metadata, expected: string | undefined): boolean {
  if (!expected) return true;
  const given = String(metadata.get('authorization')[0] ?? '');
  const digest = (value: string) => createHash('sha256').update(value).digest();
  return timingSafeEqual(digest(given), digest(`Bearer ${expected}`));
}

/** Whether a host name or address stays on this machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
