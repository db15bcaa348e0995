/** All media of a data set at a glance: how many, how large, how many tokens, and which rows cannot be used. */
import {
  type Conversation,
  isRejection,
  type RejectedRecord,
  rejectedAt,
} from '../handlers/conversation.js';
import type { CheckedMedia, MediaChecker } from './media-checker.js';
import type { MediaCollector } from './media-manifest.js';
import { LIST_OF_KIND, MEDIA_KINDS, type MediaKind, type MediaUse } from './media-types.js';

/** One kind of media in a data set. */
export interface KindSurvey {
  readonly kind: MediaKind;
  /** Placeholders. */
  readonly uses: number;
  /** Different contents; the pictures of a video given as a list count one by one. */
  readonly distinct: number;
  /** Of the different contents. */
  readonly bytes: number;
  /** Places among the tokens, over all uses; 0 without a plugin. */
  readonly tokens: number;
  /** Places of the smallest and of the largest use. */
  readonly tokensMin: number;
  readonly tokensMax: number;
}

/** What {@link surveyMedia} finds. */
export interface MediaSurvey {
  readonly rows: number;
  readonly rowsWithMedia: number;
  /** Places of the row that has most. */
  readonly rowTokensMax: number;
  /** Kinds that the data set has. */
  readonly kinds: readonly KindSurvey[];
  /** In the order of rows. */
  readonly rejected: readonly RejectedRecord[];
}

/** Reads, checks and counts; media go to `collector` too, for a manifest. Throws: what the records and checker throw. */
export async function surveyMedia(
  records: AsyncIterable<Conversation | RejectedRecord>,
  checker: MediaChecker,
  collector: MediaCollector,
): Promise<MediaSurvey> {
  const tallies = openTallies();
  const rejected: RejectedRecord[] = [];
  let [rows, rowsWithMedia, rowTokensMax] = [0, 0, 0];
  for await (const record of records) {
    rows += 1;
    if (record.kind === 'rejected') {
      rejected.push(record);
      continue;
    }
    const checked = await checker.check(record);
    if (isRejection(checked)) {
      rejected.push(rejectedAt(record, checked));
      continue;
    }
    if (checked.media.length === 0) continue;
    rowsWithMedia += 1;
    rowTokensMax = Math.max(rowTokensMax, checked.extraTokens);
    collector.add(record, checked.media);
    countRow(tallies, checked);
  }
  const kinds = MEDIA_KINDS.flatMap((kind) => {
    const { hashes, ...tally } = tallies[kind];
    const tokensMin = Math.min(tally.tokensMin, tally.tokensMax);
    return tally.uses === 0 ? [] : [{ kind, ...tally, tokensMin, distinct: hashes.size }];
  });
  return { rows, rowsWithMedia, rowTokensMax, kinds, rejected };
}

interface Tally {
  uses: number;
  bytes: number;
  tokens: number;
  tokensMin: number;
  tokensMax: number;
  readonly hashes: Set<string>;
}

type Tallies = { readonly [kind in MediaKind]: Tally };

function openTallies(): Tallies {
  const open = (): Tally => ({
    uses: 0,
    bytes: 0,
    tokens: 0,
    tokensMin: Number.POSITIVE_INFINITY,
    tokensMax: 0,
    hashes: new Set(),
  });
  return { image: open(), video: open(), audio: open(), series: open() };
}

function countRow(tallies: Tallies, { media, expanded }: CheckedMedia<Conversation>): void {
  for (const kind of MEDIA_KINDS) {
    const column = LIST_OF_KIND[kind];
    const uses = media.filter((use) => use.column === column);
    const places = column === 'series' ? [] : (expanded?.[column] ?? []);
    countKind(
      tallies[kind],
      uses,
      places.map(({ tokens }) => tokens),
    );
  }
}

function countKind(tally: Tally, uses: readonly MediaUse[], places: readonly number[]): void {
  for (const use of uses) {
    // The pictures of one video are one use.
    if ((use.frame ?? 0) === 0) tally.uses += 1;
    if (tally.hashes.has(use.hash)) continue;
    tally.hashes.add(use.hash);
    tally.bytes += use.bytes;
  }
  for (const tokens of places) {
    tally.tokens += tokens;
    tally.tokensMax = Math.max(tally.tokensMax, tokens);
    tally.tokensMin = Math.min(tally.tokensMin, tokens);
  }
}
