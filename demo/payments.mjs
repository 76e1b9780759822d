// Payments: charges an amount; the bank does not answer for amounts over 500 (the demo's failing path).
import { serve } from './service.mjs';

const bankLimit = 500;

serve(async ({ method, path, body }) => {
  if (method !== 'POST' || path !== '/charges') return { status: 404, body: { error: 'not found' } };
  if (body.amount > bankLimit) return { status: 503, body: { error: 'the bank does not answer' } };
  return { status: 201, body: { charged: body.amount } };
});
