import { expect, test } from "vitest";
import { createLogger } from "../../src/http/logger.ts";

test("a line of the log has no control character, whatever an entry contains", () => {
  const lines: string[] = [];
  const logger = createLogger("info", { write: (line) => void lines.push(line) });
  const evil = 'a\n{"level":60}\x1b[2J\x9b2J\x7f\u2028\u202e';
  logger.error({ msg: evil, host: evil, err: new Error(evil), [evil]: 1 });
  logger.info(evil);
  expect(lines.join("")).toMatch(/^([\x20-\x7e]+\n){2}$/);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ host: evil });
});
