// curl: two handles share what they know of names; curl has the program lock and unlock that, and a handle is being set up.
// pkg: libcurl
// debian: libcurl4-openssl-dev
// expect: orphaned-lock confidence=proved lock=locks[1] holder=worker acquired=lock,perform,worker waiting=lock,perform,in_child
#include "server.h"

#include <curl/curl.h>

static CURLSH *share;
static pthread_mutex_t locks[16];

static void lock(CURL *handle, curl_lock_data data, curl_lock_access access, void *unused) {
    (void)handle, (void)access, (void)unused;
    pthread_mutex_lock(&locks[data]);
    hold();
}
static void unlock(CURL *handle, curl_lock_data data, void *unused) {
    (void)handle, (void)unused;
    pthread_mutex_unlock(&locks[data]);
}

static void perform(void) {
    CURL *handle = curl_easy_init();
    curl_easy_setopt(handle, CURLOPT_SHARE, share);
    curl_easy_setopt(handle, CURLOPT_URL, "http://127.0.0.1:1/");
    curl_easy_perform(handle);
    curl_easy_cleanup(handle);
}

static void worker(void) {
    perform();
}

static void in_child(void) {
    perform();
}

int main(int argc, char **argv) {
    (void)argv;
    curl_global_init(CURL_GLOBAL_ALL);
    share = curl_share_init();
    for (int i = 0; i < 16; i++)
        pthread_mutex_init(&locks[i], NULL);
    curl_share_setopt(share, CURLSHOPT_LOCKFUNC, lock);
    curl_share_setopt(share, CURLSHOPT_UNLOCKFUNC, unlock);
    curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    return serve(argc);
}
