/** A client of the coordinator for as long as a command asks it. */
import { type ClientOptions, CoordinatorClient } from '@kasane/protocol/client';

export async function withClient<T>(
  options: ClientOptions,
  body: (client: CoordinatorClient) => Promise<T>,
): Promise<T> {
  const client = new CoordinatorClient(options);
  try {
    return await body(client);
  } finally {
    client.close();
  }
}
