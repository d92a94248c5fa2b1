import type { HeaderPair } from "../requests/end-to-end.ts";
import { CORS, type PreviewAnswer } from "./refusals.ts";

/** Pages of other origins that may read a preview's answers; `undefined`: all, without credentials. */
export type PreviewCors = "app" | readonly string[] | undefined;

const ALLOW = /^access-control-/;

/**
 * Answers the preflight of a page in the app's place.
 *
 * @returns `undefined` if the app answers it
 */
export function preflightAnswer(
  cors: PreviewCors,
  { method, prefix, header }: { method: string; prefix: string; header(name: string): string | undefined },
): PreviewAnswer | undefined {
  if (method !== "OPTIONS" || cors === "app") return undefined;
  // Below a path OPTIONS never reaches the app.
  if (cors === undefined) return prefix === "" ? undefined : { status: 204, headers: CORS, body: "" };
  const origin = header("origin");
  if (origin === undefined || header("access-control-request-method") === undefined) return undefined;
  if (!cors.includes(origin)) return { status: 204, headers: { vary: "Origin" }, body: "" };
  const asked = (name: string) => header(name) ?? "";
  return {
    status: 204,
    headers: {
      ...allowing(origin),
      "access-control-allow-methods": asked("access-control-request-method"),
      "access-control-allow-headers": asked("access-control-request-headers"),
      "access-control-max-age": "600",
    },
    body: "",
  };
}

/** Returns an app's headers with the CORS headers of its preview. */
export function withCors(
  pairs: readonly HeaderPair[],
  cors: PreviewCors,
  origin: string | undefined,
): HeaderPair[] {
  if (cors === "app") return [...pairs];
  if (cors === undefined) {
    const has = pairs.some(([name]) => name === "access-control-allow-origin");
    return has ? [...pairs] : [...pairs, ["access-control-allow-origin", "*"]];
  }
  const kept = pairs.filter(([name]) => !ALLOW.test(name) || name === "access-control-expose-headers");
  if (origin === undefined || !cors.includes(origin)) return [...kept, ["vary", "Origin"]];
  return [...kept, ...Object.entries(allowing(origin))];
}

function allowing(origin: string): Record<string, string> {
  return {
    "access-control-allow-origin": origin,
    "access-control-allow-credentials": "true",
    vary: "Origin",
  };
}
