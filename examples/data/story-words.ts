/**
 * Words and sentence forms of the demonstration data.
 *
 * Every word occurs in little children's stories, and nearly all are one to four tokens of the bundled
 * model's 512-piece vocabulary. Pure data.
 */

/** A person or animal a story is about. */
export interface Hero {
  readonly name: string;
  readonly he: 'he' | 'she';
  readonly his: 'his' | 'her';
}

const boys = ['Tim', 'Tom', 'Sam', 'Ben', 'Max', 'Bob', 'Jack', 'Dan'];
const girls = ['Lily', 'Mia', 'Sue', 'Amy', 'Sara', 'Kim', 'Lucy', 'Anna'];

export const HEROES: readonly Hero[] = [
  ...boys.map((name): Hero => ({ name, he: 'he', his: 'his' })),
  ...girls.map((name): Hero => ({ name, he: 'she', his: 'her' })),
];

export const COMPANIONS: readonly string[] = ['mom', 'dad', 'dog', 'cat', 'friend', 'bear', 'bird'];

export const PLACES: readonly string[] = [
  'park',
  'house',
  'tree',
  'store',
  'zoo',
  'farm',
  'beach',
  'lake',
  'hill',
  'river',
  'pond',
  'garden',
];

export const OBJECTS: readonly string[] = [
  'ball',
  'car',
  'hat',
  'toy',
  'doll',
  'shell',
  'bell',
  'ring',
  'box',
  'book',
  'cup',
  'kite',
  'bike',
  'boat',
  'cake',
  'key',
];

export const COLORS: readonly string[] = [
  'red',
  'blue',
  'green',
  'pink',
  'yellow',
  'black',
  'white',
  'brown',
];

export const FEELINGS: readonly string[] = ['happy', 'sad', 'tired', 'hot', 'cold', 'proud'];

export const NUMBERS: readonly string[] = ['two', 'three', 'four', 'five', 'six'];

/** Things that are counted, in the plural. */
export const COUNTED: readonly string[] = [
  'birds',
  'dogs',
  'cats',
  'cars',
  'ducks',
  'pigs',
  'cows',
];

/** What the hero does last: past tense for the story, the same words for the answer. */
export const ENDINGS: readonly string[] = [
  'ran home',
  'sat down',
  'went to bed',
  'had a nap',
  'ate a cake',
  'sang a song',
  'played a game',
  'hugged mom',
];
