/** Errors of connections to Redis. Knows no client: whoever has one hands it in. */

interface Connection {
  on(event: 'error' | 'end', listener: (error: Error) => void): unknown;
  duplicate: (...args: never[]) => unknown;
  disconnect: (...args: never[]) => unknown;
}

/**
 * Sees to it that somebody hears the errors of a connection and of its duplicates: ioredis prints what nobody hears, for each attempt to
 * connect again. Who disconnects it disconnects its duplicates, which BullMQ may leave behind when Redis is away.
 */
export function heard<T extends Connection>(connection: T): T {
  connection.on('error', () => {});
  const { duplicate, disconnect } = connection as unknown as Record<string, (...args: unknown[]) => unknown>;
  const duplicates = new Set<Connection>();
  const replaced = {
    duplicate: (...args: unknown[]) => {
      const made = heard(duplicate!.apply(connection, args) as T);
      duplicates.add(made);
      made.on('end', () => duplicates.delete(made));
      return made;
    },
    disconnect: (...args: unknown[]) => {
      for (const made of duplicates) made.disconnect();
      return disconnect!.apply(connection, args);
    },
  };
  return Object.assign(connection, replaced);
}
