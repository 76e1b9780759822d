// Orders: reserves the item at inventory, then charges the amount at payments; a failed charge fails the order.
import { serve } from './service.mjs';

serve(async ({ method, path, body }, call) => {
  if (method === 'GET' && path.startsWith('/availability/')) {
    return call('inventory', 'GET', `/stock/${path.slice('/availability/'.length)}`);
  }
  if (method === 'POST' && path === '/orders') {
    const reserved = await call('inventory', 'POST', '/reservations', { item: body.item });
    if (reserved.status !== 201) return reserved;
    const charged = await call('payments', 'POST', '/charges', { amount: body.amount });
    if (charged.status !== 201) return { status: 502, body: { error: 'the payment failed' } };
    return { status: 201, body: { order: 'placed', item: body.item } };
  }
  return { status: 404, body: { error: 'not found' } };
});
