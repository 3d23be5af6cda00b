/*
 * Preloaded into a process, lets its time of day differ from that of the machine by the seconds that stand in a file, as
 * text, at any moment. The monotonic clock is left alone, as it is when somebody sets the clock.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile char *offset;

__attribute__((constructor)) static void open_offset(void)
{
  const char *path = getenv("CLOCK_SHIM_FILE");
  int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return;
  void *map = mmap(NULL, 32, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (map != MAP_FAILED)
    offset = map;
}

static int64_t seconds(void)
{
  if (offset == NULL)
    return 0;
  int64_t value = 0;
  int sign = 1;
  for (int i = 0; i < 31; i++) {
    char c = offset[i];
    if (c == '-')
      sign = -1;
    else if (c >= '0' && c <= '9')
      value = value * 10 + (c - '0');
    else if (c != ' ')
      break;
  }
  return sign * value;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
  int result = (int)syscall(SYS_clock_gettime, clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    time->tv_sec += seconds();
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
  struct timespec time;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &time) != 0)
    return -1;
  now->tv_sec = time.tv_sec;
  now->tv_usec = time.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *result)
{
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0)
    return -1;
  if (result != NULL)
    *result = now.tv_sec;
  return now.tv_sec;
}
