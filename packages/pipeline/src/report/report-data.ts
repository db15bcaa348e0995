/** Everything that a report shows; plain data, so that the page is a pure function of it. */

/** A number that stands at the top. */
export interface ReportFigure {
  readonly label: string;
  readonly value: string;
  /** Small print under it: an interval, a comparison. */
  readonly note?: string;
}

/** One row of the stages table. */
export interface ReportStage {
  readonly title: string;
  readonly outcome: 'ran' | 'resumed' | 'reused';
  readonly reason: string;
  /** Null for a stage that was reused. */
  readonly durationMs: number | null;
  readonly bytes: number;
}

/** What became of the rows of one data role. */
export interface ReportDataPart {
  readonly title: string;
  readonly samples: number;
  readonly tokens: number;
  readonly learnedTokens: number;
  /** Rows that gave no sample, and other remarks, by name. */
  readonly buckets: readonly { readonly name: string; readonly rows: number }[];
}

/** One held-out sample answered by both models. */
export interface ReportSample {
  readonly prompt: string;
  readonly expected: string;
  readonly before: ReportAnswer | null;
  readonly after: ReportAnswer | null;
}

/** An answer and whether it equals the expected one; null when that was not asked. */
export interface ReportAnswer {
  readonly text: string;
  readonly isRight: boolean | null;
}

/** An artifact of the run. */
export interface ReportArtifact {
  readonly title: string;
  readonly kind: string;
  readonly path: string;
  readonly bytes: number;
  readonly fingerprint: string;
  /** What it was made from, in words. */
  readonly parents: readonly string[];
}

/** A command that uses a result. */
export interface ReportCommand {
  readonly label: string;
  readonly command: string;
}

/** A point of a curve. */
export interface ReportPoint {
  readonly step: number;
  readonly loss: number;
}

/** The content of a report. */
export interface ReportData {
  readonly title: string;
  readonly recipe: string;
  readonly runId: string;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly figures: readonly ReportFigure[];
  readonly stages: readonly ReportStage[];
  readonly dataParts: readonly ReportDataPart[];
  readonly curve: {
    readonly train: readonly ReportPoint[];
    readonly heldOut: readonly ReportPoint[];
  };
  readonly samples: readonly ReportSample[];
  readonly artifacts: readonly ReportArtifact[];
  readonly commands: readonly ReportCommand[];
  readonly versions: readonly { readonly tool: string; readonly version: string }[];
  /** The recipe's text. */
  readonly recipeText: string;
}
