// @module-tag any-user
import { expect, test } from "vitest";
import { startSecretVm, VALUE } from "../../../../support/secret-outside.ts";

test("curl gets a secret added to https, with the proxy and without it, and never has it", async () => {
  const { vm, curl, url, last } = await startSecretVm();
  for (const way of ["", "--noproxy '*'", "-x socks5h://${HTTP_PROXY#http://} --noproxy ''"]) {
    const { text, exitCode } = await curl(`${way} '${url}/v1?q=%20'`);
    expect([exitCode, JSON.parse(text).url]).toEqual([0, "/v1?q=%20"]);
    expect(last().headers.authorization).toBe(`Bearer ${VALUE}`);
  }
  expect((await vm.exec("env")).stdout).not.toContain(VALUE);
});
