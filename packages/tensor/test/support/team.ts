import type { Helpers } from '../../src/backends/wasm/helpers.ts';
import { leadTeam, startTeam, type TeamThreads } from '../../src/node/team.ts';

const teams = new Map<number, { readonly team: TeamThreads; readonly helpers: Helpers }>();

/** Threads that compute together with this one, so many in all, whatever the size; they stay until `endTeams`. */
export function helpersOf(threads: number): Helpers | undefined {
  if (threads === 1) return undefined;
  const known = teams.get(threads);
  if (known) return known.helpers;
  const team = startTeam(threads, (error) => {
    throw error;
  });
  const helpers = { ...leadTeam(team.lead), eager: true };
  teams.set(threads, { team, helpers });
  return helpers;
}

export async function endTeams(): Promise<void> {
  await Promise.all([...teams.values()].map(({ team }) => team.end()));
  teams.clear();
}
