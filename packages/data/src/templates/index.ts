export {
  type ChatMessage,
  ChatTemplate,
  type RenderOptions,
  type TemplateVariables,
} from './chat-template.js';
export { TEMPLATE_ERRORS } from './errors.js';
export {
  chatTemplateFor,
  type LoadTemplateOptions,
  loadChatTemplate,
  templateVariables,
} from './load-chat-template.js';
export { namedTemplate, TEMPLATE_NAMES } from './named-templates.js';
export { renderSegments, type SegmentOptions, type TextSegment } from './render-segments.js';
