/**
 * An environment variable that holds a JSON object, with more put into it. One that holds anything else stays as it
 * is: the agent tells its user what is wrong with it.
 */
export function withJson(
  variable: string | undefined,
  more: (present: Record<string, unknown>) => object,
): string {
  const present = variable ? parseObject(variable) : {};
  return present === undefined ? (variable as string) : JSON.stringify({ ...present, ...more(present) });
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
