/** `kasane model`: registered models of a coordinator. */
import type { ClientOptions } from '@kasane/protocol/client';
import { KasaneError } from '@kasane/protocol/errors';
import { err, out } from '../../output/say.ts';
import { isSure } from '../../process/is-sure.ts';
import { withClient } from '../../process/with-client.ts';
import { byteSize, count } from '../../render/count.ts';
import { detailLines, detailRecord, modelTable, nameOf, versionRecord } from '../../render/model.ts';

interface Options extends ClientOptions {
  readonly json?: boolean;
}

const print = ({ json }: Options, record: object, ...lines: readonly string[]) =>
  out.lines(...(json ? [JSON.stringify(record)] : lines));

/** @param model NAME:VERSION */
export async function register(
  job: string,
  model: string,
  options: Options & { readonly alias?: readonly string[]; readonly description?: string },
): Promise<void> {
  const { alias: aliases = [], description = '' } = options;
  const made = await withClient(options, (client) =>
    client.models.register(job, model, { aliases, description }),
  );
  const also = made.aliases.length > 0 ? `, which is ${made.aliases.join(', ')}` : '';
  print(options, versionRecord(made), `${job} registered as ${nameOf(made)}${also}`);
}

/** @param name only versions of this one */
export async function list(name: string | undefined, options: Options): Promise<void> {
  const models = await withClient(options, (client) => client.models.list(name));
  if (options.json) out.lines(JSON.stringify(models.map(versionRecord)));
  else if (models.length > 0) out.lines(...modelTable(models));
  else if (name !== undefined) err.lines(`no model '${name}' is registered`);
  else err.lines('no models yet; register one with `kasane model register JOB NAME:VERSION`');
}

export async function show(model: string, options: Options): Promise<void> {
  const found = await withClient(options, (client) => client.models.get(model));
  print(options, detailRecord(found), ...detailLines(found));
}

/** @param model NAME:VERSION, or NAME:ALIAS @param given the alias that is to point to it; none to remove that of `model` */
export async function alias(
  model: string,
  given: string | undefined,
  options: Options & { readonly remove?: boolean },
): Promise<void> {
  if ((given === undefined) !== (options.remove === true)) {
    const right =
      'expected `kasane model alias NAME:VERSION ALIAS`, or `kasane model alias NAME:ALIAS --remove`';
    throw new KasaneError(
      'USAGE',
      given === undefined ? `no alias given; ${right}` : `--remove takes no second argument; ${right}`,
    );
  }
  await withClient(options, async (client) => {
    if (given === undefined) {
      const left = await client.models.removeAlias(model);
      print(
        options,
        { ...versionRecord(left), before: left.version },
        `${model} removed; ${nameOf(left)} stays`,
      );
      return;
    }
    const { model: now, before } = await client.models.setAlias(model, given);
    const was = before !== undefined && before !== now.version ? `; it was ${now.name}:${before}` : '';
    const record = { ...versionRecord(now), before: before ?? null };
    print(options, record, `${now.name}:${given} is ${nameOf(now)}${was}`);
  });
}

export async function card(model: string, options: Options & { readonly output?: string }): Promise<void> {
  const { output } = options;
  const { modelCard } = await import('./card.ts');
  const found = await withClient(options, (client) => client.models.get(model));
  const text = modelCard(found);
  if (output !== undefined) {
    const { requireWritable } = await import('../../files/output-file.ts');
    const { writeFile } = await import('../../files/write-file.ts');
    requireWritable(output, 'model card', '--output');
    writeFile(text, output);
    err.lines(`Model card written to ${output}`);
  }
  if (options.json) out.lines(JSON.stringify({ model: nameOf(found.model), card: text }));
  else if (output === undefined) out.write(text);
}

/** Deletes each of these versions, or none where one does not exist. */
export async function deleteModels(
  models: readonly string[],
  options: Options & { readonly yes?: boolean },
): Promise<void> {
  if (!options.yes && !process.stdin.isTTY)
    throw new KasaneError('USAGE', 'kasane model delete asks first, and there is no terminal: add --yes');
  await withClient(options, async (client) => {
    const all = [...new Set(models)];
    for (const model of all) await client.models.get(model);
    const [what, whose] = all.length === 1 ? [all[0]!, 'its'] : [count(all.length, 'model'), 'their'];
    if (all.length > 1 && !options.yes) err.lines(...all);
    if (
      !options.yes &&
      !(await isSure(`Delete ${what} with ${whose} weights? This cannot be undone. [y/N] `))
    ) {
      err.lines('nothing was deleted');
      return;
    }
    for (const model of all) {
      const bytes = await client.models.delete(model);
      const size = bytes > 0 ? ` (${byteSize(bytes)})` : '; another version has the same weights';
      print(options, { model, bytes }, `${model} deleted${size}`);
    }
  });
}
