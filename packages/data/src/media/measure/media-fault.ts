/** Why a medium cannot be used; becomes a rejection of its row. */
import type { RejectBucket } from '../../handlers/conversation.js';

/** Thrown inside the media folder and turned into a rejection at its edge. */
export class MediaFault extends Error {
  readonly bucket: RejectBucket;

  /** `what` is a sentence about the medium, without its name: "it is empty". */
  constructor(bucket: RejectBucket, what: string) {
    super(what);
    this.bucket = bucket;
  }
}
