import { expect, test } from "vitest";
import { MAX_KEY_BYTES, MAX_TOKEN_BYTES, MAX_TOKEN_KEYS } from "../../../src/api/limits.ts";
import { type Grant, reaches } from "../../../src/http/grant.ts";
import { grant, grantFor } from "../../../src/http/peers/messages.ts";

const VM = { name: "vm", key: ["team", "one"] };

test("rights go on to the server of a VM with their whole scope, which a fork needs", () => {
  const scopes: Grant["vms"][] = [
    { prefix: ["team"] },
    // A token has its keys in base64.
    { keys: [VM.key, ["x".repeat((MAX_TOKEN_BYTES / 4) * 3)]] },
  ];
  for (const vms of scopes) {
    const whole: Grant = { may: ["create"], vms, tokenId: "t", asked: VM };
    expect(grant.parse(grantFor(whole, VM))).toEqual(whole);
  }
});

test("a scope that does not fit the head of a request becomes that of the VM", () => {
  const keys = Array.from({ length: MAX_TOKEN_KEYS }, (_, index) => [
    String(index).padEnd(MAX_KEY_BYTES, "x"),
  ]);
  const sent = grantFor({ may: ["exec"], vms: { keys: [...keys, VM.key] }, asked: VM }, VM);
  expect([reaches(sent, VM), reaches(sent, { name: "vm", key: keys[0] as string[] })]).toEqual([true, false]);
  expect(JSON.stringify(sent).length).toBeLessThan(MAX_KEY_BYTES);
});
