/** Measures of a trained model. */
export { EVALUATE_ERRORS } from './errors.js';
export {
  type EvaluateOptions,
  type EvaluationProgress,
  evaluateLoss,
  type LossEvaluation,
} from './evaluate-loss.js';
export {
  type ExactMatch,
  type ExactMatchOptions,
  exactMatch,
  normaliseAnswer,
  wilsonInterval,
} from './exact-match.js';
