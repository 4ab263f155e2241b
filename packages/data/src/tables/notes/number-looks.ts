/** What numbers of a column may be instead of quantities: they are read as they stand, and whoever owns the data is told. */
import { quoted } from '../quoted.ts';
import { isEpochMs } from '../read-time.ts';
import type { Notation } from '../table-form.ts';

/** What stands for a missing number in many files. */
const MARKERS = new Set([-99, ...[999, 9999, 99_999, 999_999].flatMap((nines) => [nines, -nines])]);
/** Ways to write one of them that are told. */
const SPELLINGS = 5;
/** Such numbers that are so many times as far from 0 as all others are no measurements. */
const FAR = 2;
/** Numbers of one length, from so many digits on, count nothing. */
const ID_DIGITS = 10;

/** So many rows at least before whole numbers of that size are called times. */
const TIMES_ROWS = 20;

export class NumberLooks {
  readonly #name: string;
  #count = 0;
  /** Texts like 01003, the first of them; and whether all are digits alone. */
  #code: string | undefined;
  #digits = true;
  /** The first whole number that is rounded, since it has more digits than a number keeps. */
  #rounded: string | undefined;
  /** The first like 1E5, where all others are digits alone. */
  #power: string | undefined;
  #powers = true;
  /** How often each marker of a missing number is there, and how far from 0 the others are. */
  /** How often each is there, and how it is written. */
  readonly #markers = new Map<number, { times: number; readonly texts: Set<string> }>();
  #farthest = 0;
  /** Digits that all have; 0: not all the same. */
  #length: number | undefined;
  /** Whether all may be times, and the first. */
  #times = true;
  #first = '';
  /** Those like 1.307, the first of them, whole ones of one to three digits, and whether there are any others. */
  #groups = 0;
  #grouped: string | undefined;
  #small = 0;
  #hundreds = 0;
  #decimals = false;

  constructor(name: string) {
    this.#name = name;
  }

  /** @param text a number. @param value the same */
  see(text: string, value: number): void {
    if (this.#count++ === 0) this.#first = text;
    // Of most columns the first few values tell: large tables have millions.
    if (this.#digits) {
      this.#digits = /^\d+$/.test(text);
      if (this.#digits && text.length > 1 && text[0] === '0') this.#code ??= text;
    }
    if (this.#powers) {
      this.#powers = /^\d+(?:e\d+)?$/i.test(text);
      if (this.#powers && /e/i.test(text)) this.#power ??= text;
    }
    if (MARKERS.has(value)) this.#mark(value, text);
    else this.#farthest = Math.max(this.#farthest, Math.abs(value));
    this.#length ??= text.length;
    if (this.#length !== text.length || !this.#digits) this.#length = 0;
    this.#times &&= isEpochMs(value);
    if (this.#rounded === undefined && Math.abs(value) > Number.MAX_SAFE_INTEGER && /^[+-]?\d+$/.test(text))
      this.#rounded = text;
    this.#lookForGroups(text);
  }

  #mark(value: number, text: string): void {
    const marker = this.#markers.get(value) ?? { times: 0, texts: new Set() };
    this.#markers.set(value, marker);
    marker.times++;
    if (marker.texts.size < SPELLINGS) marker.texts.add(text);
  }

  #lookForGroups(text: string): void {
    if (this.#decimals) return;
    if (/^[+-]?[1-9]\d{0,2}\.\d{3}$/.test(text)) {
      this.#grouped ??= text;
      this.#groups++;
    } else if (/^[+-]?[1-9]\d{0,2}$/.test(text)) {
      if (text.length >= 3) this.#hundreds++;
      else this.#small++;
    } else this.#decimals = true;
  }

  /**
   * Where dots may group thousands: 685 beside 1.307, and nothing like 1.5 or 1307. Decimals of three places look so only where their last
   * digits are never 0, and whole numbers among them are mostly small.
   */
  grouped({ decimal, thousands }: Notation): string[] {
    if (decimal !== '.' || thousands !== '' || this.#decimals || this.#groups < 2) return [];
    if (this.#hundreds === 0 || this.#hundreds < this.#small) return [];
    return [
      `column '${this.#name}': '${this.#grouped}' is read as ${Number(this.#grouped)}; if the dot separates thousands, set data.thousands: "." and data.decimal: ","`,
    ];
  }

  /** A number such as -999 that is there more than once, and far from all others. */
  marked(): string[] {
    const found = [...this.#markers].filter(
      ([value, { times }]) => times > 1 && Math.abs(value) > FAR * this.#farthest && this.#farthest > 0,
    );
    return found
      .slice(0, 1)
      .map(
        ([value, { times, texts }]) =>
          `column '${this.#name}': ${value} is in ${times} training rows, far from all other values; if it means a missing value, set data.missingValues: [${[...texts].map((text) => JSON.stringify(text)).join(', ')}]`,
      );
  }

  /** Codes, IDs and times that are read as quantities: one note at most. */
  otherwise(): string[] {
    const set = (kinds: string) => `set data.columns: { ${quoted(this.#name)}: ${kinds}`;
    if (this.#code !== undefined && this.#digits)
      return [
        `column '${this.#name}': values such as '${this.#code}' start with 0 and are read as numbers; if they are codes, ${set('category }, or ignore')}`,
      ];
    if (this.#power !== undefined && this.#powers)
      return [
        `column '${this.#name}': '${this.#power}' is read as ${Number(this.#power)}; if it is a code, ${set('category }, or ignore')}`,
      ];
    if (this.#rounded !== undefined)
      return [
        `column '${this.#name}': '${this.#rounded.slice(0, 40)}' has more digits than a number can store; if it is an ID, ${set('ignore }, or category')}`,
      ];
    if (this.#times && this.#count >= TIMES_ROWS)
      return [
        `column '${this.#name}': values such as '${this.#first}' seem to be times in milliseconds since 1970, which say little about later rows; to ignore them, ${set('ignore }')}`,
      ];
    if ((this.#length ?? 0) >= ID_DIGITS && this.#count >= TIMES_ROWS)
      return [
        `column '${this.#name}': all values have ${this.#length} digits, such as '${this.#first}'; if they are phone numbers or IDs, ${set('ignore }')}`,
      ];
    return [];
  }
}
