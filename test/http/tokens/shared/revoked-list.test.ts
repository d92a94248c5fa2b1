import { expect, test } from "vitest";
import { REVOKED_STEP } from "../../../../src/http/tokens/shared/messages.ts";
import { RevokedList } from "../../../../src/http/tokens/shared/revoked-list.ts";

test("a list of mostly expired tokens drops them, and tells the others again", () => {
  const list = new RevokedList();
  const note = { end: Date.now() + 60_000, owner: null };
  for (let number = 0; number <= REVOKED_STEP; number += 1) list.add(`${number}`, { ...note, end: 1 });
  list.add("kept", note);
  const { epoch } = list.after("", 0);
  expect(list.after(epoch, REVOKED_STEP).tokens.map(([id]) => id)).toEqual([`${REVOKED_STEP}`, "kept"]);
  expect(list.forgetExpired()).toHaveLength(REVOKED_STEP + 1);
  expect(list.count(null)).toBe(1);
  const page = list.after(epoch, REVOKED_STEP + 2);
  expect(page.epoch).not.toBe(epoch);
  expect([page.after, page.tokens]).toEqual([0, [["kept", note.end]]]);
  list.add("next", note);
  expect(list.forgetExpired()).toEqual([]);
  expect(list.after(page.epoch, 1).tokens).toEqual([["next", note.end]]);
});
