// @module-tag attack
import { expect, test } from "vitest";
import { MAX_TOKENS_PER_CLIENT } from "../../../src/api/limits.ts";
import type { Right } from "../../../src/api/rights.ts";
import { type Grant, UNLIMITED } from "../../../src/http/grant.ts";
import { Tokens } from "../../../src/http/tokens/tokens.ts";
import { testFolder } from "../../support/temporary-folder.ts";
import { failure } from "../../support/until.ts";

const open = () => new Tokens(testFolder(), new Uint8Array(32).fill(1), () => undefined);

const request = (prefix: string, may: Right[] = ["admin"]) => ({
  vms: { prefix: [prefix] },
  may,
  label: "",
  expiresIn: 60,
});

/** Makes tokens, all at once, until one is refused. @returns how many were made */
async function fill(tokens: Tokens, maker: Grant): Promise<number> {
  const makings = Array.from({ length: MAX_TOKENS_PER_CLIENT + 3 }, () =>
    tokens.create(maker, request("a", ["read"])),
  );
  const outcomes = await Promise.allSettled(makings);
  for (const outcome of outcomes) {
    if (outcome.status === "fulfilled") continue;
    expect(outcome.reason).toMatchObject({
      code: "limit_exceeded",
      metadata: { limit: "MAX_TOKENS_PER_CLIENT" },
    });
  }
  return outcomes.filter(({ status }) => status === "fulfilled").length;
}

const user = (name: string): Grant => ({ may: ["admin"], vms: { prefix: ["a"] }, identity: { name } });

test("a client that makes as many tokens as it can, by tokens of its own, keeps none from others", {
  tags: ["slow"],
}, async () => {
  const tokens = open();
  const make = async (maker: Grant) => await tokens.verify((await tokens.create(maker, request("a"))).token);
  const own = await make(user("greedy"));
  const child = await make(own);
  expect(await fill(tokens, child)).toBe(MAX_TOKENS_PER_CLIENT - 2);
  for (const maker of [user("greedy"), own]) {
    expect(await failure(make(maker))).toMatchObject({ code: "limit_exceeded" });
  }
  const others = [user("other"), UNLIMITED, await make(UNLIMITED)];
  for (const maker of others) await make(maker);
  await tokens.revoke(user("greedy"), child.tokenId!);
  await make(own);
  tokens.close();
});
