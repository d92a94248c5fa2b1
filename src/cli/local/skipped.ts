/** A path that a copy has left out. */
export interface Skipped {
  path: string;
  reason: SkipReason;
}

/** Why a copy leaves a path out. */
export type SkipReason = "kind" | "name" | "taken";

const REASONS: Record<SkipReason, string> = {
  kind: "is not a file, a folder or a link",
  name: "has a name or a target that is not UTF-8",
  taken: "has the name of another file of this copy",
};

/** Says that a path was left out, and why. */
export function skippedText({ path, reason }: Skipped): string {
  return `${path} ${REASONS[reason]}, and was left out`;
}
