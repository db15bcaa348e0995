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
export { renderSegments, type SegmentOptions, type TextSegment } from './render-segments.js';
export {
  describeTemplate,
  listTemplates,
  type TemplateDescription,
  type TemplateSummary,
} from './slots/list-templates.js';
export { mediaPluginOf, TEMPLATE_NAMES, TEMPLATE_SPECS, templateSpec } from './slots/registry.js';
export {
  type MediaTokens,
  type Slot,
  type TemplateSpec,
  TOOL_FORMATS,
  type ToolFormat,
} from './slots/slot-spec.js';
export {
  type Confidence,
  suggestTemplate,
  type TemplateSuggestion,
} from './suggest-template.js';
