/* Sockets over TCP and inproc: whole messages, refusals, and what happens when a peer goes. */
#include "common/clock.h"
#include "common/net/socket.h"

#include <stdarg.h>
#include <stdio.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const net_options_t OPTIONS = {
    .frame_limit = 1 << 20, .queue_limit = 16, .heartbeat_ms = 0, .linger_ms = 0};

static int receive_soon(net_socket_t *socket, net_message_t *message)
{
    net_poll_t item = {.socket = socket};
    int64_t until = clock_monotonic_ms() + 5000;
    while (clock_monotonic_ms() < until) {
        net_poll(&item, 1, 50);
        if (net_receive(socket, message))
            return 1;
    }
    return 0;
}

static void send_soon(net_socket_t *socket, const net_frame_t *frames, size_t count)
{
    int64_t until = clock_monotonic_ms() + 5000;
    while (net_send(socket, NULL, frames, count, NULL))
        assert_true(clock_monotonic_ms() < until);
}

static void a_message_of_two_frames_comes_back_whole(const char *endpoint)
{
    net_socket_t *router, *dealer;
    net_message_t message;
    error_t error = ERROR_INIT;
    assert_int_equal(net_router_bind(endpoint, &OPTIONS, &router, &error), OK);
    assert_int_equal(net_dealer_connect(net_socket_endpoint(router), &OPTIONS, &dealer, &error),
                     OK);
    size_t big = 700000;
    char *body = malloc(big);
    memset(body, 7, big);
    send_soon(dealer, (net_frame_t[]){{"head", 4}, {body, big}}, 2);
    assert_true(receive_soon(router, &message));
    assert_int_equal(message.count, 2);
    assert_int_equal(message.frames[0].length, 4);
    assert_memory_equal(message.frames[0].bytes, "head", 4);
    assert_int_equal(message.frames[1].length, big);
    assert_memory_equal(message.frames[1].bytes, body, big);
    assert_int_equal(net_send(router, &message.from, (net_frame_t[]){{"back", 4}}, 1, &error), OK);
    net_message_clear(&message);
    assert_true(receive_soon(dealer, &message));
    assert_int_equal(message.count, 1);
    assert_memory_equal(message.frames[0].bytes, "back", 4);
    assert_int_equal(message.from.length, 0);
    net_message_clear(&message);
    free(body);
    net_socket_close(&dealer);
    net_socket_close(&router);
    assert_null(router);
}

static void messages_cross_tcp(void **state)
{
    (void)state;
    a_message_of_two_frames_comes_back_whole("tcp://127.0.0.1:*");
}

static void messages_cross_inproc(void **state)
{
    (void)state;
    a_message_of_two_frames_comes_back_whole("inproc://crossing");
}

static void a_taken_endpoint_is_named(void **state)
{
    (void)state;
    net_socket_t *first, *second;
    error_t error = ERROR_INIT;
    assert_int_equal(net_router_bind("tcp://127.0.0.1:*", &OPTIONS, &first, &error), OK);
    int code = net_router_bind(net_socket_endpoint(first), &OPTIONS, &second, &error);
    assert_int_equal(code, ERR_UNAVAILABLE);
    assert_non_null(strstr(error.message, net_socket_endpoint(first)));
    assert_null(second);
    net_socket_close(&first);
}

static void an_endpoint_without_sense_is_a_usage_error(void **state)
{
    (void)state;
    net_socket_t *socket;
    error_t error = ERROR_INIT;
    assert_int_equal(net_router_bind("here", &OPTIONS, &socket, &error), ERR_USAGE);
    assert_int_equal(net_dealer_connect("udp7://x", &OPTIONS, &socket, &error), ERR_USAGE);
    assert_non_null(strstr(error.message, "udp7://x"));
}

static void an_unknown_peer_cannot_be_sent_to(void **state)
{
    (void)state;
    net_socket_t *router;
    error_t error = ERROR_INIT;
    net_peer_t nobody = {5, {0, 1, 2, 3, 4}};
    assert_int_equal(net_router_bind("inproc://lonely", &OPTIONS, &router, &error), OK);
    int code = net_send(router, &nobody, (net_frame_t[]){{"x", 1}}, 1, &error);
    assert_int_equal(code, ERR_UNAVAILABLE);
    net_socket_close(&router);
}

static void a_dealer_without_a_connection_refuses(void **state)
{
    (void)state;
    net_socket_t *dealer;
    error_t error = ERROR_INIT;
    assert_int_equal(net_dealer_connect("tcp://127.0.0.1:1", &OPTIONS, &dealer, &error), OK);
    int code = net_send(dealer, NULL, (net_frame_t[]){{"x", 1}}, 1, &error);
    assert_int_equal(code, ERR_UNAVAILABLE);
    net_socket_close(&dealer);
}

static void a_full_queue_is_busy_and_loses_nothing_sent(void **state)
{
    (void)state;
    net_socket_t *router, *dealer;
    net_message_t message;
    error_t error = ERROR_INIT;
    assert_int_equal(net_router_bind("inproc://full", &OPTIONS, &router, &error), OK);
    assert_int_equal(net_dealer_connect("inproc://full", &OPTIONS, &dealer, &error), OK);
    send_soon(dealer, (net_frame_t[]){{"hello", 5}}, 1);
    assert_true(receive_soon(router, &message));
    net_peer_t peer = message.from;
    net_message_clear(&message);
    int sent = 0;
    int code;
    while (!(code = net_send(router, &peer, (net_frame_t[]){{&sent, sizeof sent}}, 1, &error)))
        assert_true(++sent < 1000);
    assert_int_equal(code, ERR_BUSY);
    for (int i = 0; i < sent; i++) {
        assert_true(receive_soon(dealer, &message));
        assert_memory_equal(message.frames[0].bytes, &i, sizeof i);
        net_message_clear(&message);
    }
    net_socket_close(&dealer);
    net_socket_close(&router);
}

static void a_peer_that_has_closed_is_gone(void **state)
{
    (void)state;
    net_socket_t *router, *dealer;
    net_message_t message;
    error_t error = ERROR_INIT;
    assert_int_equal(net_router_bind("tcp://127.0.0.1:*", &OPTIONS, &router, &error), OK);
    assert_int_equal(net_dealer_connect(net_socket_endpoint(router), &OPTIONS, &dealer, &error),
                     OK);
    send_soon(dealer, (net_frame_t[]){{"hello", 5}}, 1);
    assert_true(receive_soon(router, &message));
    net_peer_t peer = message.from;
    net_message_clear(&message);
    net_socket_close(&dealer);
    int64_t until = clock_monotonic_ms() + 10000;
    int code = OK;
    while (code != ERR_UNAVAILABLE && clock_monotonic_ms() < until) {
        code = net_send(router, &peer, (net_frame_t[]){{"x", 1}}, 1, &error);
        assert_false(net_receive(router, &message)); /* the end of a connection is read */
    }
    assert_int_equal(code, ERR_UNAVAILABLE);
    net_socket_close(&router);
}

static void a_frame_over_the_limit_never_arrives(void **state)
{
    (void)state;
    net_socket_t *router, *dealer;
    net_message_t message;
    net_options_t generous = OPTIONS;
    error_t error = ERROR_INIT;
    generous.frame_limit = 1 << 24;
    assert_int_equal(net_router_bind("tcp://127.0.0.1:*", &OPTIONS, &router, &error), OK);
    assert_int_equal(net_dealer_connect(net_socket_endpoint(router), &generous, &dealer, &error),
                     OK);
    char *body = calloc(1, 2 << 20);
    send_soon(dealer, (net_frame_t[]){{body, 2 << 20}}, 1);
    net_poll_t item = {.socket = router};
    net_poll(&item, 1, 300);
    assert_false(net_receive(router, &message));
    send_soon(dealer, (net_frame_t[]){{"small", 5}}, 1); /* after it has reconnected */
    assert_true(receive_soon(router, &message));
    assert_int_equal(message.frames[0].length, 5);
    net_message_clear(&message);
    free(body);
    net_socket_close(&dealer);
    net_socket_close(&router);
}

static void a_message_of_too_many_frames_is_dropped(void **state)
{
    (void)state;
    net_socket_t *router, *dealer;
    net_message_t message;
    error_t error = ERROR_INIT;
    assert_int_equal(net_router_bind("inproc://many", &OPTIONS, &router, &error), OK);
    assert_int_equal(net_dealer_connect("inproc://many", &OPTIONS, &dealer, &error), OK);
    net_frame_t frames[NET_FRAME_LIMIT + 1];
    for (size_t i = 0; i <= NET_FRAME_LIMIT; i++)
        frames[i] = (net_frame_t){"f", 1};
    send_soon(dealer, frames, NET_FRAME_LIMIT + 1);
    send_soon(dealer, frames, NET_FRAME_LIMIT);
    assert_true(receive_soon(router, &message));
    assert_int_equal(message.count, NET_FRAME_LIMIT);
    net_message_clear(&message);
    assert_false(net_receive(router, &message));
    net_socket_close(&dealer);
    net_socket_close(&router);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_cross_tcp),
        cmocka_unit_test(messages_cross_inproc),
        cmocka_unit_test(a_taken_endpoint_is_named),
        cmocka_unit_test(an_endpoint_without_sense_is_a_usage_error),
        cmocka_unit_test(an_unknown_peer_cannot_be_sent_to),
        cmocka_unit_test(a_dealer_without_a_connection_refuses),
        cmocka_unit_test(a_full_queue_is_busy_and_loses_nothing_sent),
        cmocka_unit_test(a_peer_that_has_closed_is_gone),
        cmocka_unit_test(a_frame_over_the_limit_never_arrives),
        cmocka_unit_test(a_message_of_too_many_frames_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
