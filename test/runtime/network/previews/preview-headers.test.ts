import { describe, expect, test } from "vitest";
import { AppCookies } from "../../../../src/runtime/network/previews/app-cookies.ts";
import { requestHeaders, responseHeaders } from "../../../../src/runtime/network/previews/preview-headers.ts";

const prefix = "/gateway/actor/request/fetch/token";
const head = { port: 3000, prefix, remoteAddress: "192.0.2.1", isEncrypted: false };
/** Prefix of the names that the app's cookies have in a browser. */
const COOKIE = /^[^=]+-(?==)/.exec(new AppCookies(prefix).toBrowser("="))?.[0] ?? "";
const requested = (...rawHeaders: string[]) => requestHeaders({ ...head, rawHeaders });
const answered = (...raw: string[]) => linesOf(responseHeaders(raw, { port: 3000 }, prefix));
const linesOf = (pairs: string[]) => {
  return pairs.flatMap((name, index) => (index % 2 ? [] : [`${name}: ${pairs[index + 1]}`]));
};

/** Headers that every response gets. */
const ADDED = ["access-control-allow-origin: *", "referrer-policy: same-origin"];

describe("a request", () => {
  test("drops hop-by-hop headers and headers that Connection names", () => {
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

  test("carries the original host and scheme, also from a proxy in front, and no forged X-Forwarded-*", () => {
    const forwarded = requested(
      ...["Host", "preview.test", "X-Forwarded-For", "198.51.100.7", "X-Forwarded-Proto", "https"],
      ...["X-Forwarded-Host", "spoofed", "X-Forwarded-Prefix", "/spoofed", "Forwarded", "for=spoofed"],
      ...["X-Rivet-Token", "secret", "Cookie", `${COOKIE}a=1`, "Cookie", `${COOKIE}b=2`],
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

  test("carries the app's own cookies only", () => {
    const other = new AppCookies(`${prefix}x`).toBrowser("b=2").split(";")[0];
    const mixed = `session=alice; ${COOKIE}a=1;${other}; agent-vm-app-b=2; ${COOKIE}=x; ${COOKIE}session=mine;c`;
    expect(requested("Cookie", "session=alice").cookie).toBeUndefined();
    expect(requested("Cookie", mixed, "cookie", "d=4").cookie).toEqual(["a=1; x; session=mine"]);
    expect(requested("COOKIE", `${COOKIE}__Host-a=1`).cookie).toEqual(["__Host-a=1"]);
  });

  test("rewrites Origin and Referer of the preview to the app's host", () => {
    const own = requested(
      ...["Host", "p.test", "Origin", "https://p.test", "Referer", `https://p.test${prefix}/a?b`],
    );
    expect([own.origin, own.referer]).toEqual([["http://localhost:3000"], ["http://localhost:3000/a?b"]]);
    const other = requested(...["Host", "p.test", "Origin", "https://q.test", "Referer", "https://q.test/a"]);
    expect([other.origin, other.referer]).toEqual([["https://q.test"], ["https://q.test/a"]]);
    // The path of another preview contains a token.
    const stray = requested(...["Host", "p.test", "Referer", "https://p.test/gateway/b/request/fetch/t/x"]);
    expect(stray.referer).toEqual(["http://localhost:3000/"]);
  });
});

describe("a response", () => {
  test("drops hop-by-hop headers and headers that affect the whole origin", () => {
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

  test("cannot make a browser report, or ask about, requests to other pages of the origin", () => {
    const reports = ["NEL", '{"report_to":"x","success_fraction":1}', "Report-To", '{"group":"x"}'];
    const session = ["Secure-Session-Registration", '(ES256); path="/s"', "Sec-Session-Registration", "x"];
    expect(answered(...reports, ...session)).toEqual(ADDED);
  });

  test("keeps the app's own CORS and Referrer-Policy headers", () => {
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
  ])("with the Location %s redirects to %s", (location, expected) => {
    expect(answered("Location", location)[0]).toBe(`location: ${expected}`);
  });

  test.each([
    ["a=1", `a=1; Path=${prefix}/`],
    ["a=1; Path=/app; HttpOnly", `a=1; HttpOnly; Path=${prefix}/app`],
    ["a=1;domain=.test;PATH=/;Secure; SameSite=Lax", `a=1;Secure; SameSite=Lax; Path=${prefix}/`],
    ["a=1; Path=relative", `a=1; Path=${prefix}/`],
    ["__Host-a=1; Path=/; Secure", `__Host-a=1; Secure; Path=${prefix}/`],
    [" a = b=c", `a = b=c; Path=${prefix}/`],
    ["agent-vm-preview=x", `agent-vm-preview=x; Path=${prefix}/`],
    ["nameless", `=nameless; Path=${prefix}/`],
  ])("with the cookie %s sets %s", (cookie, expected) => {
    expect(answered("Set-Cookie", cookie)[0]).toBe(`set-cookie: ${COOKIE}${expected}`);
  });
});

describe("with a host name, a preview", () => {
  const own = (...rawHeaders: string[]) => requestHeaders({ ...head, prefix: "", rawHeaders });
  const page = "http://t-a.localhost:6420";

  test("shows an app its own host, and the outside host unless the request has an Origin of the preview", () => {
    const read = own("Host", "t-a.localhost:6420", "Referer", `${page}/a?b`);
    expect(read).toMatchObject({ host: ["localhost:3000"], "x-forwarded-host": ["t-a.localhost:6420"] });
    expect(read.referer).toEqual(["http://localhost:3000/a?b"]);
    expect(Object.keys(read)).not.toContain("x-forwarded-prefix");
    const sent = own("Host", "t-a.localhost:6420", "Origin", page);
    expect(sent).toEqual({
      origin: ["http://localhost:3000"],
      host: ["localhost:3000"],
      "x-forwarded-for": ["192.0.2.1"],
    });
    const foreign = own("Host", "t-a.localhost:6420", "Origin", "http://u-a.localhost:6420");
    expect(foreign).toMatchObject({
      origin: ["http://u-a.localhost:6420"],
      "x-forwarded-host": ["t-a.localhost:6420"],
    });
  });

  test.each([
    ["Location: /login", "location: /login"],
    ["Location: http://localhost:3000/a#b", "location: /a#b"],
    ["Location: http://localhost:3000//evil.test/a", "location: /.//evil.test/a"],
    ["Set-Cookie: a=1; Path=/app; Domain=localhost; HttpOnly", "set-cookie: a=1; HttpOnly; Path=/app"],
    ["Set-Cookie: a=1; Secure", "set-cookie: a=1; Secure"],
    ["Service-Worker-Allowed: /", "service-worker-allowed: /"],
    ["Clear-Site-Data: *", ADDED[0]],
  ])("answers %s with %s", (given, expected) => {
    const [, name = "", value = ""] = /^([^:]+): (.*)$/.exec(given) ?? [];
    expect(linesOf(responseHeaders([name, value], { port: 3000 }, ""))[0]).toBe(expected);
  });
});
