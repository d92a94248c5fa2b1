import { describe, expect, test } from "vitest";
import { requestHeaders, responseHeaders } from "../../../src/runtime/network/preview-headers.ts";

const prefix = "/gateway/actor/request/fetch/token";
const head = { port: 3000, prefix, remoteAddress: "192.0.2.1", isEncrypted: false };
const requested = (...rawHeaders: string[]) => requestHeaders({ ...head, rawHeaders });
const answered = (...raw: string[]) => {
  const pairs = responseHeaders(raw, 3000, prefix);
  return pairs.flatMap((name, index) => (index % 2 ? [] : [`${name}: ${pairs[index + 1]}`]));
};

/** What every answer gets. */
const ADDED = ["access-control-allow-origin: *", "referrer-policy: same-origin"];

describe("a request", () => {
  test("loses what belongs to one connection, and what Connection names", () => {
    const hops = ["Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Proxy-Connection"];
    const more = ["Proxy-Authorization", "HTTP2-Settings", "Expect"];
    const given = [...hops, ...more].flatMap((name) => [name, "x"]);
    const headers = requested(...given, "Connection", "close, X-Mine", "X-Mine", "1", "X-Kept", "2");
    expect(headers).toEqual({
      "x-kept": ["2"],
      host: ["localhost:3000"],
      "x-forwarded-for": ["192.0.2.1"],
      "x-forwarded-host": ["localhost"],
      "x-forwarded-proto": ["http"],
      "x-forwarded-prefix": [prefix],
    });
  });

  test("is told what is true outside, of a proxy in front as well, and nothing that the browser makes up", () => {
    const forwarded = requested(
      ...["Host", "preview.test", "X-Forwarded-For", "198.51.100.7", "X-Forwarded-Proto", "https"],
      ...["X-Forwarded-Host", "spoofed", "X-Forwarded-Prefix", "/spoofed", "Forwarded", "for=spoofed"],
      ...["X-Rivet-Token", "secret", "Cookie", "a=1", "Cookie", "b=2"],
    );
    expect(forwarded).toEqual({
      cookie: ["a=1", "b=2"],
      host: ["localhost:3000"],
      "x-forwarded-for": ["198.51.100.7, 192.0.2.1"],
      "x-forwarded-host": ["preview.test"],
      "x-forwarded-proto": ["https"],
      "x-forwarded-prefix": [prefix],
    });
  });

  test("has Origin and Referer in the app's own terms where they are the preview's", () => {
    const own = requested(
      ...["Host", "p.test", "Origin", "https://p.test", "Referer", `https://p.test${prefix}/a?b`],
    );
    expect([own.origin, own.referer]).toEqual([["http://localhost:3000"], ["http://localhost:3000/a?b"]]);
    const other = requested(...["Host", "p.test", "Origin", "https://q.test", "Referer", "https://q.test/a"]);
    expect([other.origin, other.referer]).toEqual([["https://q.test"], ["https://q.test/a"]]);
    // Another preview's path, with its token in it.
    const stray = requested(...["Host", "p.test", "Referer", "https://p.test/gateway/b/request/fetch/t/x"]);
    expect(stray.referer).toEqual(["http://localhost:3000/"]);
  });
});

describe("an answer", () => {
  test("loses what belongs to one connection, and what is for the owner of the origin to say", () => {
    const lost = [
      "Connection",
      "x-mine",
      "X-Mine",
      "1",
      "Keep-Alive",
      "timeout=5",
      "Transfer-Encoding",
      "chunked",
    ];
    const owners = ["Service-Worker-Allowed", "/", "Clear-Site-Data", '"*"', "Alt-Svc", "h3", "X-Kept", "2"];
    expect(answered(...lost, ...owners, "Strict-Transport-Security", "max-age=1")).toEqual([
      "x-kept: 2",
      ...ADDED,
    ]);
  });

  test("says itself who may read it and what its Referer tells", () => {
    const own = ["Access-Control-Allow-Origin", "https://a.test", "Referrer-Policy", "no-referrer"];
    expect(answered(...own)).toEqual([
      "access-control-allow-origin: https://a.test",
      "referrer-policy: no-referrer",
    ]);
  });

  test.each([
    ["/login?next=/", `${prefix}/login?next=/`],
    ["http://localhost:3000/a#b", `${prefix}/a#b`],
    ["http://127.0.0.1:3000/a", `${prefix}/a`],
    ["relative/path", "relative/path"],
    ["//evil.test/a", "//evil.test/a"],
    ["/\\evil.test/a", "/\\evil.test/a"],
    ["https://elsewhere.test/a", "https://elsewhere.test/a"],
    ["http://localhost:3001/a", "http://localhost:3001/a"],
  ])("with the Location %s leads to %s", (location, expected) => {
    expect(answered("Location", location)[0]).toBe(`location: ${expected}`);
  });

  test.each([
    ["a=1", `a=1; Path=${prefix}/`],
    ["a=1; Path=/app; HttpOnly", `a=1; HttpOnly; Path=${prefix}/app`],
    ["a=1;domain=.test;PATH=/;Secure; SameSite=Lax", `a=1;Secure; SameSite=Lax; Path=${prefix}/`],
    ["a=1; Path=relative", `a=1; Path=${prefix}/`],
  ])("with the cookie %s sets %s", (cookie, expected) => {
    expect(answered("Set-Cookie", cookie)[0]).toBe(`set-cookie: ${expected}`);
  });
});
