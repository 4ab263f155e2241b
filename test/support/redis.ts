/** Run before the tests: finds the Redis that Kasane would use, and fetches it if need be. Ends with 1 and one line where there is none. */
import { findRedis } from '@kasane/cli/internal/redis/start';
import { messageOf } from '@kasane/protocol/errors';

try {
  await findRedis((line) => process.stderr.write(`${line}\n`));
} catch (error) {
  process.stderr.write(`error: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
