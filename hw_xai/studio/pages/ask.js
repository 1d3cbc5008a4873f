/* Questions to the studio: one answer, or a stream of events that ends when it is no longer wanted. */

async function sent(name, body, signal) {
  const response = await fetch(`/api/${name}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
  if (!response.ok) throw new Error((await response.json()).error);
  return response;
}

export async function ask(name, body = {}, signal = undefined) {
  return (await sent(name, body, signal)).json();
}

export async function* events(name, body, signal) {
  const response = await sent(name, body, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let left = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (left + value).split("\n");
    left = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

export async function upload(file, name) {
  const response = await fetch("/api/upload", {
    method: "POST",
    headers: { "x-name": encodeURIComponent(name || "photo").slice(0, 200) },
    body: file,
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

export const gone = (error) => error.name === "AbortError";

/* floats that came as base64 of four bytes each */
export function floats(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

/* unsigned integers as `packed` of hw_xai.show packs them */
export async function unpacked({ bits, data }) {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const raw = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
  return new { 8: Uint8Array, 16: Uint16Array, 32: Uint32Array }[bits](raw);
}
