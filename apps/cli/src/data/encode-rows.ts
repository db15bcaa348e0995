/** Encodes single rows of a data set, in order, as training would. */
import {
  type DatasetSpec,
  encodeConversation,
  encodeDocument,
  isRejection,
  type RejectedRecord,
  readConversations,
  readDocuments,
  type TokenizedSample,
} from '@tuneyard/data';
import { documentEncodingOf, encodingOf, type OpenedData } from './data-options.js';

/** A row and what it gives: one sample, several pieces of a long text, or the reason why there is none. */
export type EncodedRow =
  | { readonly kind: 'samples'; readonly row: number; readonly samples: readonly TokenizedSample[] }
  | Pick<RejectedRecord, 'kind' | 'row' | 'source' | 'bucket' | 'reason'>;

/** Streams the rows of a data set; stop reading it when enough has come. */
export async function* encodeRows(
  spec: DatasetSpec,
  data: OpenedData,
  signal: AbortSignal,
): AsyncGenerator<EncodedRow, void, undefined> {
  const { template } = data;
  if (template === null) {
    for await (const item of readDocuments(spec, { signal })) {
      if (item.kind === 'rejected') yield item;
      else {
        const samples = encodeDocument(item, documentEncodingOf(data)).map((e) => e.sample);
        yield { kind: 'samples', row: item.row, samples };
      }
    }
    return;
  }
  for await (const item of readConversations(spec, { signal })) {
    if (item.kind === 'rejected') {
      yield item;
      continue;
    }
    const encoded = encodeConversation(item, encodingOf({ ...data, template }));
    yield isRejection(encoded)
      ? { ...encoded, kind: 'rejected', source: item.source, row: item.row }
      : { kind: 'samples', row: item.row, samples: [encoded.sample] };
  }
}
