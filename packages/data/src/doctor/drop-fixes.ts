/** What to do about each kind of row that was left out. Pure data. */
import type { RejectBucket } from '../handlers/conversation.js';

/** One sentence per bucket. */
export const DROP_FIXES: { readonly [bucket in RejectBucket]: string } = {
  malformed_json: 'Repair the line; each record must be one JSON object.',
  not_an_object: 'Make each record a JSON object with named fields.',
  missing_field: 'Fill the field in, or map its name with columns in dataset_info.json.',
  wrong_type: 'Store the field as text.',
  no_messages: 'Give the dialogue at least one question and one answer.',
  unknown_role: 'Rename the role, or map it with tags in dataset_info.json.',
  wrong_role_order: 'Let questions and answers alternate, beginning with a question.',
  no_answer: 'Remove the last question, or add its answer.',
  empty_answer: 'Write the answer, or remove the row.',
  empty_text: 'Remove the row.',
  bad_tools: 'Store tools and calls as JSON, and use a template that can write them.',
  unsupported_content: 'Only text is trained on; remove pictures and sound.',
  template_refused: 'Use a template that accepts these turns; the reason says which it refuses.',
  nothing_learned: 'Raise cutoff_len so that the answer fits.',
  over_length: 'Raise cutoff_len, or set overlength: truncate.',
  duplicate: 'Nothing to do: the first of each kind is kept.',
  media_count_mismatch:
    'Write one <image>, <video> or <audio> in the text for each listed file, in order.',
  media_not_found: 'Correct the path; it is relative to the media directory, or to the data set.',
  media_unreadable: 'Replace the file; the reason says what is wrong with it.',
};
