import { parseJson } from "../../../base/json.ts";

/**
 * Adds fields to an environment variable that holds a JSON object. Any other value stays unchanged, so that the agent
 * reports the error to its user.
 */
export function withJson(variable: string | undefined, more: (present: Record<string, unknown>) => object) {
  const present = variable ? parseJson(variable) : {};
  if (typeof present !== "object" || present === null || Array.isArray(present)) return variable as string;
  return JSON.stringify({ ...present, ...more({ ...present }) });
}
