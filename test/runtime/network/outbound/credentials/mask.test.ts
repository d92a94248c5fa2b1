import { expect, test } from "vitest";
import { Mask } from "../../../../../src/runtime/network/outbound/credentials/mask.ts";
import { CredentialRules } from "../../../../../src/runtime/network/outbound/credentials/rules.ts";

const maskOf = (value: string, basicUser?: string) => {
  const secret = { value, hosts: ["api.test"], mask: true, ...(basicUser && { basicUser }) };
  const place = new CredentialRules({}, { KEY: secret }).placeOf({ host: "api.test", port: 443 });
  return new Mask(place?.credentials ?? []);
};

async function masked(mask: Mask, pieces: readonly Buffer[]): Promise<string[]> {
  const stream = mask.stream();
  const found: string[] = [];
  stream.on("data", (data: Buffer) => found.push(data.toString("latin1")));
  for (const piece of pieces) stream.write(piece);
  stream.end();
  await new Promise((resolve) => stream.once("end", resolve));
  return found;
}

test("a secret is masked wherever the pieces of a body divide it, and nothing else changes", async () => {
  const value = 'aab/aab"aaac';
  const spellings = [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1)];
  const basic = Buffer.from(`me:${value}`).toString("base64");
  const text = `aa${[...spellings, basic, value].join("|aab|")}aab/aab`;
  const wanted = `aa${[...spellings, basic, value].map((one) => "*".repeat(one.length)).join("|aab|")}aab/aab`;
  const bytes = Buffer.from(text);
  const mask = maskOf(value, "me");
  for (let at = 0; at <= bytes.length; at++) {
    expect((await masked(mask, [bytes.subarray(0, at), bytes.subarray(at)])).join("")).toBe(wanted);
  }
  expect(
    (
      await masked(
        mask,
        [...bytes].map((byte) => Buffer.of(byte)),
      )
    ).join(""),
  ).toBe(wanted);
  expect(mask.text(text)).toBe(wanted);
});

test("a stream passes at once what cannot begin a secret", async () => {
  const mask = maskOf("secret-value");
  const found = await masked(mask, [
    Buffer.from("data: one\n\n"),
    Buffer.from("data: se"),
    Buffer.from("ven\n"),
  ]);
  expect(found).toEqual(["data: one\n\n", "data: ", "seven\n"]);
});
