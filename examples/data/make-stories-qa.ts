/**
 * Makes the demonstration data: short stories in simple words, each with questions that it answers.
 *
 * Run: npx tsx --conditions=@tuneyard/source examples/data/make-stories-qa.ts
 *
 * The same seed gives the same bytes. A held-out story never shares its hero, thing and place with a training
 * story, so the right answers cannot be remembered; they have to be read.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createRng, type Rng } from '@tuneyard/core';
import {
  COLORS,
  COMPANIONS,
  COUNTED,
  ENDINGS,
  FEELINGS,
  HEROES,
  type Hero,
  NUMBERS,
  OBJECTS,
  PLACES,
} from './story-words.js';

/** What a question asks for. */
export type QuestionKind = 'who' | 'with' | 'where' | 'what' | 'color' | 'count' | 'feel' | 'next';

/** How the data are made. */
export interface StoryOptions {
  readonly seed: number;
  readonly trainStories: number;
  readonly validStories: number;
  /** Different questions about one story, each a row of its own. */
  readonly questionsPerStory: { readonly train: number; readonly valid: number };
  readonly kinds: readonly QuestionKind[];
  /** Share of stories in which a second child has another thing of another color. */
  readonly distractorShare: number;
  /** How many ways of saying a sentence are used, 1 to 3. */
  readonly sentenceForms: number;
}

/** The settings of the committed files. */
export const DEFAULT_OPTIONS: StoryOptions = {
  seed: 20261125,
  trainStories: 2000,
  validStories: 200,
  questionsPerStory: { train: 2, valid: 1 },
  kinds: ['who', 'with', 'where', 'what', 'color', 'count', 'feel', 'next'],
  distractorShare: 0.2,
  sentenceForms: 3,
};

/** One row in the Alpaca fields. */
export interface StoryRow {
  /** The story and the question. */
  readonly instruction: string;
  readonly output: string;
}

interface Question {
  readonly kind: QuestionKind;
  readonly text: string;
  readonly answer: string;
}

interface Story {
  readonly text: string;
  readonly questions: readonly Question[];
}

/** A sentence or two, and what can be asked about them. */
interface Passage {
  readonly sentence: string;
  readonly questions: readonly Question[];
}

/** Every eighth triple of hero, thing and place is for held-out stories alone. */
const HELD_OUT_EVERY = 8;

/** Makes both splits. */
export function makeRows(options: StoryOptions): {
  readonly train: readonly StoryRow[];
  readonly valid: readonly StoryRow[];
} {
  const rng = createRng(options.seed);
  const seen = new Set<string>();
  const rows = (stories: number, questions: number, isHeldOut: boolean): StoryRow[] => {
    const made: StoryRow[] = [];
    for (let count = 0; count < stories; ) {
      const story = makeStory(rng, options, isHeldOut);
      if (seen.has(story.text) || story.questions.length < questions) continue;
      seen.add(story.text);
      count++;
      const asked = [...story.questions];
      rng.shuffle(asked);
      for (const { text, answer } of asked.slice(0, questions)) {
        made.push({ instruction: `${story.text} ${text}`, output: answer });
      }
    }
    return made;
  };
  const valid = rows(options.validStories, options.questionsPerStory.valid, true);
  const train = rows(options.trainStories, options.questionsPerStory.train, false);
  rng.shuffle(train);
  return { train, valid };
}

/** The number of a triple's group; group 0 is held out. */
export function tripleGroup(hero: string, thing: string, place: string): number {
  const h = HEROES.findIndex(({ name }) => name === hero);
  const sum = h + 3 * OBJECTS.indexOf(thing) + 5 * PLACES.indexOf(place);
  return sum % HELD_OUT_EVERY;
}

function makeStory(rng: Rng, options: StoryOptions, isHeldOut: boolean): Story {
  const [hero, other] = pickTwo(rng, HEROES);
  const [thing, otherThing] = pickTwo(rng, OBJECTS);
  const [color, otherColor] = pickTwo(rng, COLORS);
  const places = PLACES.filter(
    (place) => (tripleGroup(hero.name, thing, place) === 0) === isHeldOut,
  );
  const place = pick(rng, places);
  const form = (): number => rng.nextInt(options.sentenceForms);
  const opening = makeOpening(hero, place, pick(rng, COMPANIONS), form());
  const sight = makeSight(hero.name, capital(hero.he), `${color} ${thing}`, form());
  const hasOther = rng.next() < options.distractorShare;
  const second = hasOther
    ? makeSight(other.name, other.name, `${otherColor} ${otherThing}`, form())
    : undefined;
  const isFeeling = rng.nextInt(2) === 0;
  // After a second child, "he" or "she" could be either: the next sentence about the hero says the name.
  const feelingSubject = hasOther ? hero.name : capital(hero.he);
  const extra = isFeeling ? makeFeeling(rng, hero, feelingSubject) : makeCount(rng);
  const endingSubject = hasOther && !isFeeling ? hero.name : hero.he;
  const ending = makeEnding(hero.name, endingSubject, pick(rng, ENDINGS));
  const parts = [opening, sight, ...(second === undefined ? [] : [second]), extra, ending];
  return {
    text: parts.map((part) => part.sentence).join(' '),
    questions: parts.flatMap((p) => p.questions).filter((q) => options.kinds.includes(q.kind)),
  };
}

function makeOpening(hero: Hero, place: string, companion: string, form: number): Passage {
  const { name, his } = hero;
  const sentences = [
    `One day, ${name} went to the ${place} with ${his} ${companion}.`,
    `${name} and ${his} ${companion} went to the ${place}.`,
    `Once upon a time, ${name} went to the ${place}. ${capital(his)} ${companion} went too.`,
  ];
  return {
    sentence: sentences[form] ?? '',
    questions: [
      { kind: 'who', text: `Who went to the ${place}?`, answer: name },
      { kind: 'with', text: `Who was with ${name}?`, answer: `${his} ${companion}` },
      { kind: 'where', text: `Where did ${name} go?`, answer: `the ${place}` },
    ],
  };
}

function makeSight(name: string, subject: string, thing: string, form: number): Passage {
  const verbs = [
    ['saw', 'see'],
    ['found', 'find'],
    ['wanted', 'want'],
  ] as const;
  const [past, base] = verbs[form] ?? verbs[0];
  const [color = '', noun = ''] = thing.split(' ');
  return {
    sentence: `${subject} ${past} a ${thing}.`,
    questions: [
      { kind: 'what', text: `What did ${name} ${base}?`, answer: `a ${thing}` },
      { kind: 'color', text: `What color was the ${noun}?`, answer: color },
    ],
  };
}

function makeFeeling(rng: Rng, hero: Hero, subject: string): Passage {
  const feeling = pick(rng, FEELINGS);
  return {
    sentence: `${subject} was very ${feeling}.`,
    questions: [{ kind: 'feel', text: `How did ${hero.name} feel?`, answer: feeling }],
  };
}

function makeCount(rng: Rng): Passage {
  const number = pick(rng, NUMBERS);
  const counted = pick(rng, COUNTED);
  return {
    sentence: `There were ${number} ${counted}.`,
    questions: [{ kind: 'count', text: `How many ${counted} were there?`, answer: number }],
  };
}

function makeEnding(name: string, subject: string, ending: string): Passage {
  return {
    sentence: `Then ${subject} ${ending}.`,
    questions: [{ kind: 'next', text: `What did ${name} do then?`, answer: ending }],
  };
}

function pick<T>(rng: Rng, items: readonly T[]): T {
  return items[rng.nextInt(items.length)] as T;
}

function pickTwo<T>(rng: Rng, items: readonly T[]): readonly [T, T] {
  const first = rng.nextInt(items.length);
  const second = (first + 1 + rng.nextInt(items.length - 1)) % items.length;
  return [items[first] as T, items[second] as T];
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** The rows as JSON Lines. */
export function toJsonLines(rows: readonly StoryRow[]): string {
  return rows
    .map((row) => JSON.stringify({ instruction: row.instruction, input: '', output: row.output }))
    .map((line) => `${line}\n`)
    .join('');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { train, valid } = makeRows(DEFAULT_OPTIONS);
  writeFileSync(new URL('stories-qa-train.jsonl', import.meta.url), toJsonLines(train));
  writeFileSync(new URL('stories-qa-valid.jsonl', import.meta.url), toJsonLines(valid));
  console.log(`${train.length} training rows, ${valid.length} held-out rows`);
}
