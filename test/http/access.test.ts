// @module-tag attack
import { describe, expect, test } from "vitest";
import { type AccessPolicy, type AccessRequest, refusal } from "../../src/http/access.ts";

const OPEN: AccessPolicy = { allowedOrigins: ["https://app.example"], behindEngine: false, secret: "s3cret" };
const GUARDED: AccessPolicy = { ...OPEN, token: "t0ken" };

function answer(
  policy: AccessPolicy,
  headers: Record<string, string>,
  more: Partial<AccessRequest> = {},
): string {
  const request = { header: (name: string) => headers[name], path: "/", external: true, ...more };
  return refusal(policy, request)?.code ?? "welcome";
}

describe("without a token, a request must name a loopback host", () => {
  test.each([
    ["localhost:6420", "welcome"],
    ["127.0.0.1:6420", "welcome"],
    ["127.1.2.3", "welcome"],
    ["[::1]:6420", "welcome"],
    ["LOCALHOST", "welcome"],
    ["evil.example:6420", "forbidden_origin"],
    ["localhost.evil.example", "forbidden_origin"],
    ["127.0.0.1.evil.example", "forbidden_origin"],
    ["evil.example#localhost", "forbidden_origin"],
    ["evil@localhost", "forbidden_origin"],
    ["192.168.0.1:6420", "forbidden_origin"],
    ["", "forbidden_origin"],
  ])("Host: %s -> %s", (host, expected) => {
    expect(answer(OPEN, { host })).toBe(expected);
  });

  test("refuses a request without Host", () => {
    expect(answer(OPEN, {})).toBe("forbidden_origin");
  });
});

describe("without a token, a page's request must come from loopback or an allowed origin", () => {
  test.each([
    ["http://localhost:3000", "welcome"],
    ["http://127.0.0.1", "welcome"],
    ["http://[::1]:8080", "welcome"],
    ["https://app.example", "welcome"],
    ["http://app.example", "forbidden_origin"],
    ["https://app.example.evil", "forbidden_origin"],
    ["https://evil.example", "forbidden_origin"],
    ["null", "forbidden_origin"],
    ["file://", "forbidden_origin"],
  ])("Origin: %s -> %s", (origin, expected) => {
    expect(answer(OPEN, { host: "localhost:6420", origin })).toBe(expected);
  });

  test("refuses an <img> of another site, which sends Sec-Fetch-Site and no Origin", () => {
    expect(answer(OPEN, { host: "localhost", "sec-fetch-site": "cross-site" })).toBe("forbidden_origin");
    expect(answer(OPEN, { host: "localhost", "sec-fetch-site": "same-site" })).toBe("welcome");
    expect(answer(OPEN, { host: "localhost", "sec-fetch-site": "none" })).toBe("welcome");
  });

  test("refuses a page on the server's own port, which is a VM's preview", () => {
    for (const origin of ["http://localhost:6420", "http://127.0.0.1:6420", "http://[::1]:6420"]) {
      expect(answer(OPEN, { host: "localhost:6420", origin })).toBe("forbidden_origin");
    }
    expect(answer(OPEN, { host: "localhost:6420", "sec-fetch-site": "same-origin" })).toBe(
      "forbidden_origin",
    );
    const own = { ...OPEN, allowedOrigins: ["http://localhost:6420"] };
    expect(answer(own, { host: "localhost:6420", origin: "http://localhost:6420" })).toBe("welcome");
    expect(answer(own, { host: "localhost:6420", "sec-fetch-site": "same-origin" })).toBe("welcome");
  });
});

describe("with a token, only the token counts", () => {
  const host = "vm.example";
  test.each<[string, Record<string, string>, Partial<AccessRequest>, string]>([
    ["no token", {}, {}, "unauthorized"],
    ["a header", { "x-rivet-token": "t0ken" }, {}, "welcome"],
    ["a bearer token", { authorization: "Bearer t0ken" }, {}, "welcome"],
    ["connection params", {}, { params: { token: "t0ken" } }, "welcome"],
    ["params in a header", { "x-rivet-conn-params": '{"token":"t0ken"}' }, {}, "welcome"],
    ["the gateway's path", {}, { path: "/gateway/abc@t0ken/connect" }, "welcome"],
    ["an encoded path", {}, { path: "/gateway/abc@t%30ken/connect" }, "welcome"],
    ["a wrong header", { "x-rivet-token": "token" }, {}, "unauthorized"],
    ["a prefix", { "x-rivet-token": "t0ke" }, {}, "unauthorized"],
    ["a longer token", { "x-rivet-token": "t0kenn" }, {}, "unauthorized"],
    ["an empty token", { "x-rivet-token": "" }, {}, "unauthorized"],
    ["another scheme", { authorization: "Basic t0ken" }, {}, "unauthorized"],
    ["malformed params", { "x-rivet-conn-params": "{" }, {}, "unauthorized"],
    ["a malformed path", {}, { path: "/gateway/abc@%E0%A4%A/connect" }, "unauthorized"],
    ["a token that is not a string", {}, { params: { token: 5 } }, "unauthorized"],
    ["the process's own secret", { "x-rivet-token": "s3cret" }, {}, "welcome"],
  ])("%s", (_name, headers, more, expected) => {
    expect(answer(GUARDED, { host, ...headers }, more)).toBe(expected);
  });

  test("refuses a loopback request without a token", () => {
    expect(answer(GUARDED, { host: "localhost" })).toBe("unauthorized");
    expect(answer(GUARDED, {}, { external: false })).toBe("unauthorized");
  });
});

test("admits any Host behind an engine, which has checked its clients", () => {
  expect(answer({ ...OPEN, behindEngine: true }, { host: "actor.internal" })).toBe("welcome");
});

test("admits calls within the process, which have no Host", () => {
  expect(answer(OPEN, {}, { external: false })).toBe("welcome");
});
