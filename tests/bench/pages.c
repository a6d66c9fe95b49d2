#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <fcntl.h>
#include <time.h>
#include <errno.h>
#include <unistd.h>
#include <sys/stat.h>
#include <linux/falloc.h>
static double now(void){struct timespec t;clock_gettime(CLOCK_MONOTONIC,&t);return (double)t.tv_sec*1e3+(double)t.tv_nsec/1e6;}
int main(int argc,char**argv){
 size_t G=512ul<<20,A=2<<20; int mode=atoi(argv[1]); /*0 memfd 1 tmpfs file argv[2] 2 memfd+collapse 3 anon 4 anon thp*/
 int fd=-1; char*r=mmap(0,G+A,PROT_NONE,MAP_PRIVATE|MAP_ANONYMOUS,-1,0);r=(char*)(((size_t)r+A-1)&~(A-1)); char*p;
 if(mode<3){fd=mode==1?open(argv[2],O_RDWR|O_CREAT,0600):memfd_create("x",0);ftruncate(fd,(off_t)G);p=mmap(r,G,3,MAP_SHARED|MAP_FIXED,fd,0);}
 else {p=mmap(r,G,3,MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED,-1,0);madvise(p,G,mode==4?MADV_HUGEPAGE:MADV_NOHUGEPAGE);}
 double t0=now();for(size_t i=0;i<G;i+=4096)p[i]=1;double t1=now();
 if(mode==2){int rc=madvise(p,G,25);double t=now();printf("collapse rc=%d errno=%d %.1f ms\n",rc,errno,t-t1);}
 /* random reads */
 volatile char s=0;unsigned x=1;double t2=now();for(int i=0;i<20000000;i++){x=x*1664525u+1013904223u;s+=p[((size_t)x*977)%G];}double t3=now();
 double t4=now();
 for(size_t o=0;o<G;o+=4<<20){if(fd>=0)fallocate(fd,3,(off_t)o,4<<20);else madvise(p+o,4<<20,MADV_DONTNEED);}
 double t5=now();
 for(size_t i=0;i<G/4;i+=4096)p[i]=1;
 double t6=now();
 for(size_t o=0;o<G/4;o+=8192){if(fd>=0)fallocate(fd,3,(off_t)o,4096);else madvise(p+o,4096,MADV_DONTNEED);}
 double t7=now(); struct stat st={0}; if(fd>=0)fstat(fd,&st);
 printf("mode %d touch %.1f  20M random reads %.1f  drop 4MiB chunks %.1f | drop every 2nd 4K of 128M: %.1f ms (left %ld MiB)\n",mode,t1-t0,t3-t2,t5-t4,t7-t6,(long)st.st_blocks/2048);
}
