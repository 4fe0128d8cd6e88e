// Requests to the server that this page came from; errors are its one line.

export class ApiError extends Error {
  constructor(line, status) {
    super(line);
    this.status = status;
  }
}

async function answer(path, options) {
  let got;
  try {
    got = await fetch(`api/${path}`, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("the server does not answer: is tagseg serve still running?", 0);
  }
  if (got.ok) return got;
  let line = `the server answers ${got.status} ${got.statusText}`;
  try {
    line = (await got.json()).error ?? line;
  } catch { /* no JSON: the status says it */ }
  throw new ApiError(line, got.status);
}

const asJson = (method, body) => ({
  method,
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

export const get = async (path) => (await answer(path, { cache: "no-store" })).json();
export const put = async (path, body) => answer(path, asJson("PUT", body));
export const post = async (path, body = {}) => answer(path, asJson("POST", body));
export const bytes = async (path) => (await answer(path)).arrayBuffer();
export const segment = async (file, crf) => {
  const form = new FormData();
  form.append("photo", file, file.name);
  form.append("crf", String(crf));
  return (await answer("segment", { method: "POST", body: form })).json();
};

/** A zip of the server, kept by the browser under the name that the server gives it. */
export async function download(path, body, name) {
  const got = await post(path, body);
  const told = /filename="([^"]+)"/.exec(got.headers.get("Content-Disposition") ?? "");
  const url = URL.createObjectURL(await got.blob());
  const link = document.createElement("a");
  link.href = url;
  link.download = told ? told[1] : name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export const path = (...parts) => parts.map(encodeURIComponent).join("/");
